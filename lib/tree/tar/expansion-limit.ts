import { LimitExceededError } from '../../errors.js'

/**
 * What an archive may grow to without being told otherwise: this much in any case, and
 * beyond that so many bytes for each one that was really there. gzip can pack 1032 bytes
 * into one.
 */
const freeBytes = 1024 ** 3
const growth = 1200

/**
 * Bounds what archives unfold to, by decompression and by holes: a few bytes can stand
 * for more than any disk holds.
 */
export class ExpansionLimit {
  readonly #most: number | undefined
  #taken = 0
  #unpacked = 0
  #content = 0

  /** @param most - bytes in all, instead of what the archive's own size allows */
  constructor(most?: number) {
    this.#most = most
  }

  /** Counts bytes of the archive as it came. */
  take(bytes: number): void {
    this.#taken += bytes
  }

  /** Counts bytes that decompression made; throws LimitExceededError. */
  unpack(bytes: number): void {
    this.#unpacked += bytes
    this.#check(this.#unpacked, 'an archive unpacks to too much')
  }

  /** Counts content bytes of entries, holes counted in; throws LimitExceededError. */
  unfold(bytes: number): void {
    this.#content += bytes
    this.#check(this.#content, "an archive's files are too large")
  }

  #check(found: number, problem: string): void {
    const expected = this.#most ?? freeBytes + growth * this.#taken
    if (found <= expected) return
    throw new LimitExceededError(
      `${problem}: expected at most ${expected} bytes, found more after ${this.#taken} bytes of it`,
      { expected, taken: this.#taken },
    )
  }
}
