import type { Algorithm } from '../../../object/algorithm.js'
import type { Digest } from '../../../object/digest.js'

/*
 * A row tells the digest of a file that is in a certain state. It is a row of words of four
 * bytes, in this machine's byte order:
 *
 *   0, 1    filesystem, high and low
 *   2, 3    inode, high and low
 *   4, 5    size, high and low
 *   6 to 8  ctime: seconds, high and low; nanoseconds
 *   9 to 11 mtime, likewise
 *   12      day on which the row was last of use, counted from 1970; in the lowest byte 1
 *           for a file without extended attributes
 *   13...   the hash of the file object, as its bytes are
 */

/** Words that name a file. */
export const fileWords = 4

/** Words that name a file and its state. */
export const stateWords = 12

const meta = 12
const hashAt = 13

/** Words of a row. */
export function rowWords({ hashBytes }: Algorithm): number {
  return hashAt + hashBytes / 4
}

/** What a row says of a file, besides its digest. */
export type RowFacts = {
  /** The file has no extended attributes. */
  readonly isBare: boolean
}

/** Rows in memory, one behind the other. */
export class StatRows {
  readonly words: Uint32Array<ArrayBuffer>
  readonly bytes: Buffer
  /** Words of a row. */
  readonly width: number
  readonly #algorithm: Algorithm
  readonly #prefix: string

  constructor(algorithm: Algorithm, capacity: number) {
    this.width = rowWords(algorithm)
    this.words = new Uint32Array(capacity * this.width)
    this.bytes = Buffer.from(this.words.buffer)
    this.#algorithm = algorithm
    this.#prefix = algorithm.id.toString(16).padStart(2, '0')
  }

  /** The word of a row; 0 beyond the last row. */
  word(row: number, at: number): number {
    return this.words[row * this.width + at] ?? 0
  }

  /** Writes all of a row but its digest. */
  setState(row: number, state: Uint32Array, { isBare, day }: RowFacts & { day: number }) {
    const start = row * this.width
    for (let at = 0; at < stateWords; at++) this.words[start + at] = state[at] ?? 0
    this.words[start + meta] = (day << 8) | Number(isBare)
  }

  setDigest(row: number, digest: Digest): void {
    this.bytes.write(digest.slice(2), (row * this.width + hashAt) * 4, 'hex')
  }

  /** Whether a row is about a file in this very state. */
  isOf(row: number, state: Uint32Array): boolean {
    const start = row * this.width
    for (let at = 0; at < stateWords; at++) {
      if (this.words[start + at] !== state[at]) return false
    }
    return true
  }

  digest(row: number): Digest {
    const start = (row * this.width + hashAt) * 4
    const hash = this.bytes.toString('hex', start, start + this.#algorithm.hashBytes)
    // A checksum stood for these bytes, which only setDigest writes.
    return (this.#prefix + hash) as Digest
  }

  isBare(row: number): boolean {
    return (this.word(row, meta) & 0xff) === 1
  }

  day(row: number): number {
    return this.word(row, meta) >>> 8
  }

  setDay(row: number, day: number): void {
    this.words[row * this.width + meta] = (day << 8) | (this.word(row, meta) & 0xff)
  }

  /** Copies a row of others of the same width. */
  copy(row: number, from: StatRows, fromRow: number): void {
    const start = fromRow * this.width
    const { words, width } = this
    for (let at = 0; at < width; at++)
      words[row * width + at] = from.words[start + at] ?? 0
  }
}

/** Orders rows by the files that they are about. */
export function compareFiles(
  one: Uint32Array,
  oneAt: number,
  other: Uint32Array,
  otherAt: number,
): number {
  for (let at = 0; at < fileWords; at++) {
    const difference = (one[oneAt + at] ?? 0) - (other[otherAt + at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
