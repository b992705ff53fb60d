import type { WriteBytes } from '../../tree/tar/tar-sink.js'

/**
 * Lets one side write what the other reads, a piece at a time. A failure of the writer is
 * thrown to the reader; when the reader stops early, the writer's next write fails.
 */
export async function* handedBytes(
  produce: (write: WriteBytes) => Promise<void>,
): AsyncGenerator<Buffer, void, void> {
  const handover = new Handover()
  const producing = produce(bytes => handover.offer(bytes)).finally(() => handover.end())
  // Awaited below, but it may fail before.
  producing.catch(() => undefined)
  try {
    for (;;) {
      const bytes = await handover.take()
      if (bytes === undefined) break
      yield bytes
    }
    await producing
  } finally {
    handover.abandon()
    await producing.catch(() => undefined)
  }
}

class Handover {
  #offered: Buffer | undefined
  #taken: (() => void) | undefined
  #wake: (() => void) | undefined
  #isEnded = false
  #isAbandoned = false

  /** Settles when the reader comes back for more. */
  async offer(bytes: Uint8Array): Promise<void> {
    if (this.#isAbandoned) throw new Error('nobody reads any more')
    await new Promise<void>(resolve => {
      // The writer uses its buffer again, and readers look back.
      this.#offered = Buffer.from(bytes)
      this.#taken = resolve
      this.#wake?.()
    })
  }

  async take(): Promise<Buffer | undefined> {
    if (this.#offered === undefined) this.#release()
    while (this.#offered === undefined && !this.#isEnded) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    const bytes = this.#offered
    this.#offered = undefined
    return bytes
  }

  end(): void {
    this.#isEnded = true
    this.#wake?.()
  }

  abandon(): void {
    this.#isAbandoned = true
    this.#release()
  }

  #release(): void {
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
  }
}
