import { setTimeout as delay } from 'node:timers/promises'

// So much may pass at once after a pause.
const burstSeconds = 1

/** Lets bytes pass at a rate, whoever moves them, in order of arrival. */
export class ByteRate {
  readonly #bytesPerSecond: number
  /** When all that was let through would have passed at the rate. */
  #until = 0

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Waits until `bytes` more may pass; throws the signal's reason. */
  async pass(bytes: number, signal?: AbortSignal): Promise<void> {
    const now = performance.now() / 1000
    this.#until = Math.max(now, this.#until) + bytes / this.#bytesPerSecond
    const seconds = this.#until - now - burstSeconds
    if (seconds <= 0) return
    try {
      await delay(seconds * 1000, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }

  /** Whether nothing has to be waited for. */
  get idle(): boolean {
    return this.#until <= performance.now() / 1000
  }
}
