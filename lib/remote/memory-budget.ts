import { LimitExceededError } from '../errors.js'

/** How much memory many transfers may take together. */
export type MemoryBudgetOptions = {
  readonly bytes: number
  /** Milliseconds that one waits for what others hold. */
  readonly waitMs?: number
}

type Waiting = {
  readonly lease: Lease
  readonly wanted: number
  readonly resolve: () => void
}

const defaultWaitMs = 30_000

// What every transfer takes for a moment is not worth an account.
const stepBytes = 256 * 1024

/**
 * Memory that transfers share: each says what it holds, waits in order of arrival while
 * others hold too much, and is refused after a while.
 *
 * One transfer gets half of it at most, so that no single one keeps out all others.
 */
export class MemoryBudget {
  readonly #bytes: number
  readonly #waitMs: number
  readonly #waiting: Waiting[] = []
  #taken = 0

  constructor({ bytes, waitMs = defaultWaitMs }: MemoryBudgetOptions) {
    this.#bytes = bytes
    this.#waitMs = waitMs
  }

  /** Bytes that are held now. */
  get taken(): number {
    return this.#taken
  }

  /** How many transfers wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Opens the account of one transfer, with nothing on it; disposing gives all back. */
  open(): MemoryLease {
    return new Lease(
      async (lease, wanted, signal) => this.#resize(lease, wanted, signal),
      lease => this.#change(lease, 0),
    )
  }

  async #resize(
    lease: Lease,
    wanted: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (
      wanted <= lease.held ||
      (this.#waiting.length === 0 && this.#fits(lease, wanted))
    ) {
      return this.#change(lease, wanted)
    }
    const most = Math.floor(this.#bytes / 2)
    if (wanted > most) {
      throw new LimitExceededError(
        `a transfer takes too much memory: expected at most ${most} bytes, found ${wanted}`,
        { limit: most, found: wanted, unit: 'bytes' },
      )
    }
    await this.#wait(lease, wanted, signal)
  }

  async #wait(
    lease: Lease,
    wanted: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const leave = (error: unknown): void => {
        const place = this.#waiting.indexOf(waiting)
        if (place === -1) return
        this.#waiting.splice(place, 1)
        settle()
        reject(error)
        // Smaller wishes may have waited behind this one.
        this.#serve()
      }
      const timer = setTimeout(() => leave(this.#tooLong(wanted)), this.#waitMs)
      const abort = (): void => leave(signal?.reason)
      const settle = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
      }
      const served = (): void => {
        settle()
        resolve()
      }
      const waiting = { lease, wanted, resolve: served }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiting.push(waiting)
    })
  }

  #tooLong(wanted: number): LimitExceededError {
    const message =
      `no memory for a transfer after ${this.#waitMs} ms: others hold ` +
      `${this.#taken} of ${this.#bytes} bytes, found ${wanted} wanted`
    return new LimitExceededError(message, {
      limit: this.#bytes,
      taken: this.#taken,
      found: wanted,
      unit: 'bytes',
    })
  }

  #fits(lease: Lease, wanted: number): boolean {
    const most = Math.floor(this.#bytes / 2)
    return wanted <= most && this.#taken - lease.held + wanted <= this.#bytes
  }

  #change(lease: Lease, bytes: number): void {
    this.#taken += bytes - lease.held
    lease.held = bytes
    this.#serve()
  }

  #serve(): void {
    for (;;) {
      const [first] = this.#waiting
      if (first === undefined || !this.#fits(first.lease, first.wanted)) return
      this.#waiting.shift()
      this.#taken += first.wanted - first.lease.held
      first.lease.held = first.wanted
      first.resolve()
    }
  }
}

/** What one transfer holds of a budget. */
export interface MemoryLease extends Disposable {
  /**
   * Says how many bytes the transfer holds from now on; waits when that is more than
   * before. Throws LimitExceededError, or the signal's reason.
   */
  hold(bytes: number, signal?: AbortSignal): Promise<void>
}

class Lease implements MemoryLease {
  held = 0
  readonly #resize: (
    lease: Lease,
    bytes: number,
    signal: AbortSignal | undefined,
  ) => Promise<void>
  readonly #release: (lease: Lease) => void

  constructor(
    resize: (
      lease: Lease,
      bytes: number,
      signal: AbortSignal | undefined,
    ) => Promise<void>,
    release: (lease: Lease) => void,
  ) {
    this.#resize = resize
    this.#release = release
  }

  async hold(bytes: number, signal?: AbortSignal): Promise<void> {
    const wanted = Math.floor(bytes / stepBytes) * stepBytes
    if (wanted !== this.held) await this.#resize(this, wanted, signal)
  }

  [Symbol.dispose](): void {
    this.#release(this)
  }
}
