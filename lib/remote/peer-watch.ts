import { TimedOutError } from '../errors.js'

/** How long a peer may keep us waiting. */
export type Patience = {
  /** Milliseconds of waiting without a byte in either direction. */
  readonly idleTimeoutMs: number
  /** Bytes a second, in both directions together, averaged over idleTimeoutMs of waiting. */
  readonly minimumBytesPerSecond: number
}

/**
 * The patience of version 1 sessions.
 *
 * The minimum lets a chain of single small objects pass over a round trip of a second
 * (some 100 bytes each way), and stops a peer that sends a byte now and then for ever.
 */
export const defaultPatience: Patience = {
  idleTimeoutMs: 60_000,
  minimumBytesPerSecond: 32,
}

/**
 * Decides when a peer has kept us waiting for too long.
 *
 * Only time in which something waits for the peer counts: our own disk may take its time.
 */
export class PeerWatch {
  readonly #onTimeout: (error: TimedOutError) => void
  readonly #minimumBytesPerSecond: number
  #idleTimeoutMs: number
  #timer: NodeJS.Timeout | undefined
  #waiting = 0
  #waitStarted = 0
  #lastMove = 0
  #windowWaitedMs = 0
  #windowBytes = 0

  constructor(patience: Patience, onTimeout: (error: TimedOutError) => void) {
    this.#idleTimeoutMs = patience.idleTimeoutMs
    this.#minimumBytesPerSecond = patience.minimumBytesPerSecond
    this.#onTimeout = onTimeout
  }

  /** Replaces the idle timeout from now on. */
  set idleTimeoutMs(value: number) {
    if (value === this.#idleTimeoutMs) return
    this.#idleTimeoutMs = value
    this.#windowWaitedMs = 0
    this.#windowBytes = 0
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting > 0) {
      this.#waitStarted = performance.now()
      this.#arm(value)
    }
  }

  /** Says that something begins to wait for the peer. */
  begin(): void {
    this.#waiting += 1
    if (this.#waiting > 1) return
    this.#waitStarted = performance.now()
    // A timer that is set already looks at the clock when it fires.
    if (this.#timer === undefined) this.#arm(this.#idleTimeoutMs)
  }

  /** Says that it waits no longer. */
  end(): void {
    this.#waiting -= 1
    if (this.#waiting === 0) this.#windowWaitedMs += performance.now() - this.#waitStarted
  }

  /** Counts bytes that moved in either direction. */
  moved(bytes: number): void {
    this.#windowBytes += bytes
    this.#lastMove = performance.now()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#waiting = 0
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => this.#check(), Math.max(1, Math.ceil(delayMs)))
  }

  #check(): void {
    this.#timer = undefined
    if (this.#waiting === 0) return
    const now = performance.now()
    const limit = this.#idleTimeoutMs
    const silentMs = now - Math.max(this.#waitStarted, this.#lastMove)
    const waitedMs = this.#windowWaitedMs + now - this.#waitStarted
    if (silentMs >= limit) {
      return this.#onTimeout(
        new TimedOutError(`the peer was silent for ${Math.round(silentMs)} ms`, {
          limitMs: limit,
        }),
      )
    }
    if (waitedMs >= limit) {
      const expected = Math.floor((this.#minimumBytesPerSecond * limit) / 1000)
      if (this.#windowBytes < expected) {
        return this.#onTimeout(
          new TimedOutError(
            `the peer is too slow: expected at least ${expected} bytes in ` +
              `${Math.round(waitedMs)} ms of waiting, found ${this.#windowBytes}`,
            { limitMs: limit, expected, found: this.#windowBytes },
          ),
        )
      }
      this.#windowBytes = 0
      this.#windowWaitedMs = this.#waitStarted - now
    }
    this.#arm(Math.min(limit - silentMs, limit - (waitedMs % limit)))
  }
}
