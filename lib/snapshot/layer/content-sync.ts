import { wallClock } from '../../system/clock.js'
import type { FileCalls } from '../../system/file-calls.js'

/**
 * Makes what was written to layers durable, by one sync of their filesystem for all who
 * ask while another is under way.
 */
export class ContentSync implements Disposable {
  readonly #fd: number
  readonly #calls: FileCalls
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #failure: { readonly time: bigint; readonly error: unknown } | undefined
  #open = true

  readonly #isSynced: boolean

  /** @param folder - of the layers; failures from now on are seen */
  constructor(
    folder: string,
    calls: FileCalls,
    { isSynced }: { readonly isSynced: boolean },
  ) {
    this.#calls = calls
    this.#isSynced = isSynced && calls.canSyncFilesystem()
    this.#fd = calls.open(folder)
  }

  /**
   * Makes everything durable that was written before this call.
   *
   * The system tells of a lost write once, and does not say of which file: so what existed
   * then is never called durable.
   *
   * @param since - when the layer was made that this is for
   */
  async sync(since: bigint): Promise<void> {
    if (!this.#isSynced) return
    await (this.#running === undefined ? this.#run() : this.#runNext(this.#running))
    if (this.#failure !== undefined && since < this.#failure.time)
      throw this.#failure.error
  }

  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    this.#calls.close(this.#fd)
  }

  async #runNext(before: Promise<void>): Promise<void> {
    this.#next ??= this.#runAfter(before)
    return this.#next
  }

  async #runAfter(before: Promise<void>): Promise<void> {
    await before
    this.#next = undefined
    await this.#run()
  }

  async #run(): Promise<void> {
    this.#running = this.#syncOnce().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #syncOnce(): Promise<void> {
    try {
      await this.#calls.syncFilesystem(this.#fd)
    } catch (error) {
      this.#failure = { time: wallClock(), error }
    }
  }
}
