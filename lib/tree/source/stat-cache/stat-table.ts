import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { Algorithm } from '../../../object/algorithm.js'
import { isErrno } from '../../../system/errno.js'
import { compareFiles, fileWords, rowWords, StatRows } from './stat-rows.js'

/*
 * A table of rows on disk, in ascending order of files, each file once. In words of four
 * bytes, in the byte order of the machine that wrote it:
 *
 *   header: magic, id of the algorithm, rows, CRC-32 of the index, CRC-32 of the words before
 *   blocks of 512 rows, the last one of what is left
 *   index: for each block the four words that name the file of its first row, and the
 *          CRC-32 of the block
 */

/** Rows of a block. */
export const blockRows = 512
/** Words of the header. */
export const headerWords = 5
/** Words of the index for each block. */
const indexWords = fileWords + 1
/** Rows of a table: some 340 MB on disk. */
export const maxRows = 4 * 1024 * 1024
/** The first word of a table. */
export const tableMagic = 0x31_63_73_43

const wordBytes = 4
// Blocks in memory: 22 MB, with 32 bytes a hash.
const keptBlocks = 512
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** A row of a block that is in memory until the next call. */
export type FoundRow = {
  readonly rows: StatRows
  readonly row: number
  /** The number of the row in the table. */
  readonly ordinal: number
}

/**
 * A table on disk, open for reading. What does not have its checksum counts as absent, so
 * damage costs time and nothing else.
 */
export class StatTable implements Disposable {
  readonly count: number
  /** Tells one file from another that takes its name. */
  readonly identity: string
  readonly #algorithm: Algorithm
  readonly #fd: number
  readonly #index: Uint32Array
  readonly #blocks: ({ readonly number: number; readonly rows: StatRows } | undefined)[] =
    []

  private constructor(fd: number, algorithm: Algorithm) {
    this.#fd = fd
    this.#algorithm = algorithm
    const { ino, ctimeMs, size } = fstatSync(fd)
    this.identity = `${ino}:${ctimeMs}:${size}`
    const count = this.#readHeader(size)
    this.#index = count === undefined ? new Uint32Array() : this.#readIndex(count)
    this.count = this.#index.length === 0 ? 0 : (count ?? 0)
  }

  /** Opens a table; undefined where there is none that can be read. */
  static open(path: string, algorithm: Algorithm): StatTable | undefined {
    let fd: number
    try {
      fd = openSync(path, openFlags)
    } catch (error) {
      // A link, or a folder: not ours, and replaced when there is something to save.
      if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EACCES'))
        return undefined
      throw error
    }
    try {
      return new StatTable(fd, algorithm)
    } catch (error) {
      closeSync(fd)
      if (isErrno(error, 'EISDIR', 'EIO')) return undefined
      throw error
    }
  }

  /** Finds the row of a file, named by the first words of `state`. */
  find(state: Uint32Array): FoundRow | undefined {
    const number = this.#blockOf(state)
    if (number < 0) return undefined
    const rows = this.#block(number)
    if (rows === undefined) return undefined
    const { words, width } = rows
    let from = 0
    let to = this.#rowsIn(number)
    while (from < to) {
      const middle = (from + to) >>> 1
      const order = compareFiles(words, middle * width, state, 0)
      if (order === 0) return { rows, row: middle, ordinal: number * blockRows + middle }
      if (order < 0) from = middle + 1
      else to = middle
    }
    return undefined
  }

  /** All rows in order, block by block; blocks that are damaged are left out. */
  *blocks(): Generator<{ rows: StatRows; count: number; first: number }> {
    for (let number = 0; number * blockRows < this.count; number++) {
      const rows = this.#load(number, new StatRows(this.#algorithm, blockRows))
      if (rows === undefined) continue
      yield { rows, count: this.#rowsIn(number), first: number * blockRows }
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }

  #readHeader(size: number): number | undefined {
    const header = this.#readWords(0, headerWords)
    if (header === undefined) return undefined
    const [magic, id, count = 0, , crc] = header
    const isOurs =
      magic === tableMagic &&
      id === this.#algorithm.id &&
      crc === crc32(asBytes(header.subarray(0, headerWords - 1)))
    if (!isOurs || count > maxRows) return undefined
    const indexAt = this.#indexAt(count)
    return size === indexAt + blocksOf(count) * indexWords * wordBytes ? count : undefined
  }

  #readIndex(count: number): Uint32Array {
    const header = this.#readWords(0, headerWords)
    const index = this.#readWords(this.#indexAt(count), blocksOf(count) * indexWords)
    const isWhole =
      header !== undefined &&
      index !== undefined &&
      crc32(asBytes(index)) === header[headerWords - 2]
    return isWhole ? index : new Uint32Array()
  }

  #indexAt(count: number): number {
    return (headerWords + count * rowWords(this.#algorithm)) * wordBytes
  }

  // The last block that starts at the file or before it, or -1.
  #blockOf(state: Uint32Array): number {
    let from = 0
    let to = this.#index.length / indexWords
    while (from < to) {
      const middle = (from + to) >>> 1
      if (compareFiles(this.#index, middle * indexWords, state, 0) <= 0) from = middle + 1
      else to = middle
    }
    return from - 1
  }

  #block(number: number): StatRows | undefined {
    const place = number % keptBlocks
    const kept = this.#blocks[place]
    if (kept?.number === number) return kept.rows
    const rows = kept?.rows ?? new StatRows(this.#algorithm, blockRows)
    this.#blocks[place] = undefined
    const loaded = this.#load(number, rows)
    if (loaded !== undefined) this.#blocks[place] = { number, rows: loaded }
    return loaded
  }

  #load(number: number, rows: StatRows): StatRows | undefined {
    const length = this.#rowsIn(number) * rows.width * wordBytes
    const bytes = rows.bytes.subarray(0, length)
    const at = headerWords * wordBytes + number * rows.bytes.length
    const crc = this.#index[number * indexWords + fileWords]
    return this.#fill(bytes, at) && crc32(bytes) === crc ? rows : undefined
  }

  #rowsIn(number: number): number {
    return Math.min(blockRows, this.count - number * blockRows)
  }

  #readWords(at: number, count: number): Uint32Array | undefined {
    const words = new Uint32Array(count)
    return this.#fill(asBytes(words), at) ? words : undefined
  }

  #fill(bytes: Buffer, at: number): boolean {
    let done = 0
    while (done < bytes.length) {
      const count = readSync(this.#fd, bytes, done, bytes.length - done, at + done)
      if (count === 0) return false
      done += count
    }
    return true
  }
}

function blocksOf(count: number): number {
  return Math.ceil(count / blockRows)
}

/** The bytes of words, not copied. */
export function asBytes(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength)
}
