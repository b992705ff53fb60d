import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
} from 'node:fs'
import type { SourcePlace } from './source-place.js'
import { callAt, changedError } from './source-problem.js'

// O_CLOEXEC is set on every descriptor that node:fs opens.
const flags =
  constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

/** What a second look at an entry found different; undefined for nothing. */
export function describeChange(
  before: BigIntStats,
  after: BigIntStats,
): string | undefined {
  if (before.ino !== after.ino || before.dev !== after.dev) return 'was replaced'
  if (before.mode !== after.mode) return 'has another type or mode now'
  if (before.size !== after.size) {
    return `was ${before.size} bytes long and is ${after.size} now`
  }
  if (before.mtimeNs !== after.mtimeNs) return 'was written to'
  if (before.ctimeNs !== after.ctimeNs) return 'has other metadata now'
  return undefined
}

/**
 * A regular file that is read as it was at one moment, or not at all.
 *
 * It is opened without following a link, without waiting for a fifo's other end, and is
 * the very inode that lstat saw; checkUnchanged() tells whether what was read since then
 * belongs together. All methods throw SourceChangedError, or
 * SourceUnreadableError.
 */
export class StableFile implements Disposable {
  readonly stat: BigIntStats
  readonly size: number
  readonly fd: number
  readonly #place: SourcePlace
  #read = 0
  #closed = false

  /** @param seen - what lstat said of the place: a regular file */
  constructor(place: SourcePlace, seen: BigIntStats) {
    this.#place = place
    this.fd = callAt(place, () => openSync(place.path, flags))
    try {
      this.stat = this.#look()
      const change = describeChange(seen, this.stat)
      if (change !== undefined) throw changedError(place, change)
    } catch (error) {
      closeSync(this.fd)
      throw error
    }
    this.size = Number(this.stat.size)
  }

  /**
   * Fills `buffer` from where the last read ended; returns how many bytes were left.
   *
   * One byte beyond the announced end is asked for where the buffer has room, so that
   * a file that has become longer is seen, and one that never ends is not followed.
   */
  read(buffer: Uint8Array): number {
    let filled = 0
    while (filled < buffer.length) {
      const from = filled
      const length = callAt(this.#place, () =>
        readSync(this.fd, buffer, from, buffer.length - from, null),
      )
      filled += length
      if (this.#read + filled > this.size) {
        throw this.#changed(`holds more than its ${this.size} bytes`)
      }
      if (length === 0) break
      // A regular file gives less than was asked for only at its end.
      if (this.#read + filled === this.size && filled < buffer.length) break
    }
    this.#read += filled
    if (filled < buffer.length && this.#read < this.size) {
      throw this.#changed(`holds ${this.#read} of its ${this.size} bytes`)
    }
    return filled
  }

  /** Throws unless the file is in the state in which it was opened. */
  checkUnchanged(): void {
    const change = describeChange(this.stat, this.#look())
    if (change !== undefined) throw this.#changed(change)
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.fd)
  }

  #look(): BigIntStats {
    return callAt(this.#place, () => fstatSync(this.fd, { bigint: true }))
  }

  #changed(change: string): Error {
    return changedError(this.#place, change)
  }
}

/** Looks at an entry without following a link; throws as StableFile does. */
export function look(place: SourcePlace): BigIntStats {
  return callAt(place, () => lstatSync(place.path, { bigint: true }))
}
