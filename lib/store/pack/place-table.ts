import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Digest } from '../../object/digest.js'
import { objectTypeByte, parseObjectType } from '../../object/object-type.js'
import { DigestScratch } from './digest-scratch.js'
import { alignedFrom, codecs, type PackPlace, type RecordFields } from './pack-format.js'
import {
  encodeFooter,
  footerBytes,
  maxFanOutBits,
  rowBytes,
  tableHeaderBytes,
} from './pack-index.js'

const rowsPerBucket = 64
const firstCapacity = 1024

/**
 * What a pack being written holds, and where: grows by some 65 bytes an object.
 *
 * Seeded, so that nobody can choose objects that all fall into one slot.
 */
export class PlaceTable {
  readonly #seed = randomBytes(4).readUInt32LE(0)
  readonly #digest = new DigestScratch()
  readonly #byAlgorithm: (Rows | undefined)[] = []
  #count = 0

  get count(): number {
    return this.#count
  }

  /** The digest that add() was given last, in binary form. */
  get digest(): DigestScratch {
    return this.#digest
  }

  /** Adds an object; false when it is there already, and kept as it is. */
  add(digest: Digest, record: RecordFields, offset: number): boolean {
    this.#digest.load(digest)
    const id = this.#digest.algorithm
    const rows = (this.#byAlgorithm[id] ??= new Rows(this.#digest.length - 1, this.#seed))
    if (!rows.add(this.#digest.words, record, offset)) return false
    this.#count += 1
    return true
  }

  has(digest: Digest): boolean {
    this.#digest.load(digest)
    const rows = this.#byAlgorithm[this.#digest.algorithm]
    return rows !== undefined && rows.find(this.#digest.words) !== -1
  }

  find(digest: Digest): PackPlace | undefined {
    this.#digest.load(digest)
    const rows = this.#byAlgorithm[this.#digest.algorithm]
    const row = rows?.find(this.#digest.words) ?? -1
    return row === -1 ? undefined : rows?.place(row, digest)
  }

  /** Gives every object that was added since the last call its place in the file. */
  settle(plainBy: number, alignedBy: number): void {
    for (const rows of this.#byAlgorithm) rows?.settle(plainBy, alignedBy)
  }

  /** Encodes the trailer of a pack whose tables start at `offset` (pack-index.ts). */
  encodeTrailer(offset: number): Buffer {
    const tables = [...this.#byAlgorithm.entries()].flatMap(([id, rows]) =>
      rows === undefined ? [] : [{ id, rows }],
    )
    const bytes = tables.reduce((sum, { rows }) => sum + rows.encodedBytes, 0)
    const trailer = Buffer.allocUnsafeSlow(bytes + footerBytes)
    let at = 0
    for (const { id, rows } of tables) {
      rows.encode(id, trailer.subarray(at, at + rows.encodedBytes))
      at += rows.encodedBytes
    }
    const encoded = trailer.subarray(0, bytes)
    const tableCount = tables.length
    encodeFooter({ offset, bytes, tableCount, crc: crc32(encoded) }).copy(trailer, bytes)
    return trailer
  }
}

// Rows of one algorithm, in columns, found through open addressing.
class Rows {
  readonly #hashBytes: number
  readonly #hashWords: number
  readonly #seed: number
  #capacity = firstCapacity
  #count = 0
  #settled = 0
  #hashes: Uint32Array<ArrayBuffer>
  #kinds = new Uint8Array(firstCapacity)
  #offsets = new Float64Array(firstCapacity)
  #sizes = new Float64Array(firstCapacity)
  #storedSizes = new Float64Array(firstCapacity)
  #slots = new Uint32Array(2 * firstCapacity)

  constructor(hashBytes: number, seed: number) {
    this.#hashBytes = hashBytes
    this.#hashWords = hashBytes / 4
    this.#seed = seed
    this.#hashes = new Uint32Array(firstCapacity * this.#hashWords)
  }

  get encodedBytes(): number {
    const fanOut = 4 * 2 ** fanOutBitsFor(this.#count)
    return tableHeaderBytes + fanOut + this.#count * (this.#hashBytes + rowBytes)
  }

  add(hash: Uint32Array, record: RecordFields, offset: number): boolean {
    if (this.#count === this.#capacity) this.#grow()
    const slot = this.#slotOf(hash, 0)
    if (this.#slots[slot] !== 0) return false
    const row = this.#count
    const width = this.#hashWords
    for (let word = 0; word < width; word++) {
      this.#hashes[row * width + word] = hash[word] ?? 0
    }
    this.#kinds[row] = objectTypeByte(record.type) | (codecs.indexOf(record.codec) << 4)
    this.#offsets[row] = offset
    this.#sizes[row] = record.size
    this.#storedSizes[row] = record.storedSize
    this.#count = row + 1
    this.#slots[slot] = this.#count
    return true
  }

  /** The row of a hash, or -1. */
  find(hash: Uint32Array): number {
    return (this.#slots[this.#slotOf(hash, 0)] ?? 0) - 1
  }

  settle(plainBy: number, alignedBy: number): void {
    for (let row = this.#settled; row < this.#count; row++) {
      const stands = this.#kinds[row] === 0 && (this.#sizes[row] ?? 0) >= alignedFrom
      this.#offsets[row] = (this.#offsets[row] ?? 0) + (stands ? alignedBy : plainBy)
    }
    this.#settled = this.#count
  }

  place(row: number, digest: Digest): PackPlace {
    const kind = this.#kinds[row] ?? 0
    return {
      digest,
      type: parseObjectType(kind & 0x0f),
      codec: codecs[kind >> 4] ?? 'raw',
      offset: this.#offsets[row] ?? 0,
      size: this.#sizes[row] ?? 0,
      storedSize: this.#storedSizes[row] ?? 0,
      crc: 0,
    }
  }

  /** @param table - starts at a multiple of four bytes of its memory */
  encode(id: number, table: Buffer<ArrayBuffer>): void {
    const width = this.#hashWords
    const fanOutBits = fanOutBitsFor(this.#count)
    const hashesAt = tableHeaderBytes + 4 * 2 ** fanOutBits
    const rowsAt = hashesAt + this.#count * this.#hashBytes
    const view = new DataView(table.buffer, table.byteOffset, table.length)
    // The hashes are copied as they are, so this machine's byte order does not matter.
    const words = new Uint32Array(table.buffer, table.byteOffset, table.length / 4)
    view.setUint32(0, id | (fanOutBits << 8), true)
    view.setUint32(4, this.#count, true)
    const keys = this.#firstWords()
    let bucket = 0
    let index = 0
    for (const row of this.#sortedRows(keys)) {
      const own = fanOutBits === 0 ? 0 : (keys[row] ?? 0) >>> (32 - fanOutBits)
      for (; bucket < own; bucket++)
        view.setUint32(tableHeaderBytes + 4 * bucket, index, true)
      const to = hashesAt / 4 + index * width
      for (let word = 0; word < width; word++) {
        words[to + word] = this.#hashes[row * width + word] ?? 0
      }
      this.#encodeRow(row, view, rowsAt + index * rowBytes)
      index += 1
    }
    for (; bucket < 2 ** fanOutBits; bucket++) {
      view.setUint32(tableHeaderBytes + 4 * bucket, this.#count, true)
    }
  }

  #encodeRow(row: number, view: DataView, at: number): void {
    const kind = this.#kinds[row] ?? 0
    view.setUint8(at, kind & 0x0f)
    view.setUint8(at + 1, kind >> 4)
    setUint48(view, at + 2, this.#offsets[row] ?? 0)
    setUint48(view, at + 8, this.#storedSizes[row] ?? 0)
    setUint48(view, at + 14, this.#sizes[row] ?? 0)
  }

  // The first four bytes of each hash as a number that orders like them.
  #firstWords(): Uint32Array {
    const keys = new Uint32Array(this.#count)
    const view = new DataView(this.#hashes.buffer)
    for (let row = 0; row < this.#count; row++) {
      keys[row] = view.getUint32(row * this.#hashBytes)
    }
    return keys
  }

  // By the first 16 bits into buckets, then each small bucket by comparison.
  #sortedRows(keys: Uint32Array): Uint32Array {
    const starts = new Uint32Array(0x10000 + 1)
    for (const key of keys) {
      const bucket = (key >>> 16) + 1
      starts[bucket] = (starts[bucket] ?? 0) + 1
    }
    for (let bucket = 0; bucket < 0x10000; bucket++) {
      starts[bucket + 1] = (starts[bucket + 1] ?? 0) + (starts[bucket] ?? 0)
    }
    const order = new Uint32Array(this.#count)
    const ends = starts.slice()
    for (let row = 0; row < this.#count; row++) {
      const bucket = (keys[row] ?? 0) >>> 16
      const end = ends[bucket] ?? 0
      ends[bucket] = end + 1
      const from = starts[bucket] ?? 0
      let at = end
      for (; at > from; at--) {
        const before = order[at - 1] ?? 0
        if (this.#isBefore(before, row, keys)) break
        order[at] = before
      }
      order[at] = row
    }
    return order
  }

  #isBefore(one: number, other: number, keys: Uint32Array): boolean {
    const oneKey = keys[one] ?? 0
    const otherKey = keys[other] ?? 0
    if (oneKey !== otherKey) return oneKey < otherKey
    const width = this.#hashBytes
    const hashes = Buffer.from(this.#hashes.buffer)
    return (
      hashes.compare(
        hashes,
        other * width,
        (other + 1) * width,
        one * width,
        (one + 1) * width,
      ) < 0
    )
  }

  // The slot that holds the hash that starts at `at`, or the free one where it belongs.
  #slotOf(words: Uint32Array, at: number): number {
    const width = this.#hashWords
    const first = words[at] ?? 0
    const mask = this.#slots.length - 1
    const mixed = Math.imul(first ^ this.#seed, 0x9e3779b1)
    const spread = Math.imul(mixed ^ (mixed >>> 15) ^ (words[at + 1] ?? 0), 0x85ebca6b)
    let slot = (spread ^ (spread >>> 13)) & mask
    for (;;) {
      const entry = this.#slots[slot] ?? 0
      if (entry === 0) return slot
      const own = (entry - 1) * width
      let word = 0
      while (word < width && this.#hashes[own + word] === words[at + word]) word += 1
      if (word === width) return slot
      slot = (slot + 1) & mask
    }
  }

  #grow(): void {
    this.#capacity *= 2
    this.#hashes = larger(this.#hashes, this.#capacity * this.#hashWords)
    this.#kinds = larger(this.#kinds, this.#capacity)
    this.#offsets = larger(this.#offsets, this.#capacity)
    this.#sizes = larger(this.#sizes, this.#capacity)
    this.#storedSizes = larger(this.#storedSizes, this.#capacity)
    this.#slots = new Uint32Array(2 * this.#capacity)
    for (let row = 0; row < this.#count; row++) {
      this.#slots[this.#slotOf(this.#hashes, row * this.#hashWords)] = row + 1
    }
  }
}

function setUint48(view: DataView, at: number, value: number): void {
  view.setUint32(at, value, true)
  view.setUint16(at + 4, value / 2 ** 32, true)
}

type Column = Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array

function larger<Kind extends Column>(column: Kind, length: number): Kind {
  const grown = new (column.constructor as new (length: number) => Kind)(length)
  grown.set(column)
  return grown
}

/** Bits of a fan-out whose buckets hold some 64 rows. */
export function fanOutBitsFor(count: number): number {
  const buckets = Math.max(1, count / rowsPerBucket)
  return Math.min(maxFanOutBits, Math.ceil(Math.log2(buckets)))
}
