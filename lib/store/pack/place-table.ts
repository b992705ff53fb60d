import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { type Digest, digestBytes } from '../../object/digest.js'
import { type PackPlace, trailerMagic } from './pack-format.js'
import {
  footerBytes,
  maxFanOutBits,
  moveRow,
  type RowFields,
  readRow,
  rowBytes,
  tableHeaderBytes,
  writeRow,
} from './pack-index.js'

const rowsPerBucket = 64
const firstCapacity = 1024

/**
 * What a pack being written holds, and where: grows by some 60 bytes an object.
 *
 * Seeded, so that nobody can choose objects that all fall into one slot.
 */
export class PlaceTable {
  readonly #seed = randomBytes(4).readUInt32LE(0)
  readonly #byAlgorithm = new Map<number, Rows>()

  get count(): number {
    let count = 0
    for (const rows of this.#byAlgorithm.values()) count += rows.count
    return count
  }

  /**
   * Adds an object; false when it is there already, and kept as it is.
   *
   * @param digest - the binary form
   */
  add(digest: Buffer, place: RowFields): boolean {
    const id = digest[0] ?? 255
    let rows = this.#byAlgorithm.get(id)
    if (rows === undefined) {
      rows = new Rows(digest.length - 1, this.#seed)
      this.#byAlgorithm.set(id, rows)
    }
    return rows.add(digest, place)
  }

  has(digest: Buffer): boolean {
    return this.#byAlgorithm.get(digest[0] ?? 255)?.find(digest) !== undefined
  }

  find(digest: Digest): PackPlace | undefined {
    const bytes = digestBytes(digest)
    const rows = this.#byAlgorithm.get(bytes[0] ?? 255)
    const row = rows?.find(bytes)
    return row === undefined ? undefined : rows?.place(row, digest)
  }

  /** Gives every object that was added since the last call its place in the file. */
  settle(move: (offset: number, isAligned: boolean) => number): void {
    for (const rows of this.#byAlgorithm.values()) rows.settle(move)
  }

  /** Encodes the trailer of a pack whose segments end at `offset` (pack-index.ts). */
  encodeTrailer(offset: number): Buffer {
    const ids = [...this.#byAlgorithm.keys()].toSorted((one, other) => one - other)
    const tables = Buffer.concat(
      ids.map(id => this.#byAlgorithm.get(id)?.encode(id) ?? Buffer.alloc(0)),
    )
    return Buffer.concat([tables, encodeFooter(tables, offset, ids.length)])
  }
}

// Rows of one algorithm: hashes and infos side by side, found through open addressing.
class Rows {
  readonly #hashBytes: number
  readonly #seed: number
  #count = 0
  #settled = 0
  #hashes: Buffer<ArrayBuffer>
  #infos = Buffer.allocUnsafe(firstCapacity * rowBytes)
  #slots = new Uint32Array(firstCapacity * 2)

  constructor(hashBytes: number, seed: number) {
    this.#hashBytes = hashBytes
    this.#seed = seed
    this.#hashes = Buffer.allocUnsafe(firstCapacity * hashBytes)
  }

  get count(): number {
    return this.#count
  }

  add(digest: Buffer, place: RowFields): boolean {
    if (this.#count * 2 >= this.#slots.length) this.#grow()
    const slot = this.#slotOf(digest, 1)
    if (this.#slots[slot] !== 0) return false
    digest.copy(this.#hashes, this.#count * this.#hashBytes, 1)
    writeRow(this.#infos, place, this.#count * rowBytes)
    this.#count += 1
    this.#slots[slot] = this.#count
    return true
  }

  find(digest: Buffer): number | undefined {
    const entry = this.#slots[this.#slotOf(digest, 1)] ?? 0
    return entry === 0 ? undefined : entry - 1
  }

  settle(move: (offset: number, isAligned: boolean) => number): void {
    for (; this.#settled < this.#count; this.#settled++)
      moveRow(this.#infos, this.#settled * rowBytes, move)
  }

  place(row: number, digest: Digest): PackPlace {
    return readRow(this.#infos, row * rowBytes, digest)
  }

  encode(id: number): Buffer {
    const order = this.#sortedRows()
    const fanOutBits = fanOutBitsFor(this.#count)
    const hashesAt = tableHeaderBytes + 4 * 2 ** fanOutBits
    const rowsAt = hashesAt + this.#count * this.#hashBytes
    const table = Buffer.alloc(rowsAt + this.#count * rowBytes)
    table.writeUInt8(id, 0)
    table.writeUInt8(fanOutBits, 1)
    table.writeUInt32LE(this.#count, 4)
    let bucket = 0
    for (const [index, row] of order.entries()) {
      const from = row * this.#hashBytes
      const own =
        fanOutBits === 0 ? 0 : this.#hashes.readUInt32BE(from) >>> (32 - fanOutBits)
      for (; bucket < own; bucket++)
        table.writeUInt32LE(index, tableHeaderBytes + 4 * bucket)
      this.#hashes.copy(
        table,
        hashesAt + index * this.#hashBytes,
        from,
        from + this.#hashBytes,
      )
      this.#infos.copy(
        table,
        rowsAt + index * rowBytes,
        row * rowBytes,
        (row + 1) * rowBytes,
      )
    }
    for (; bucket < 2 ** fanOutBits; bucket++) {
      table.writeUInt32LE(this.#count, tableHeaderBytes + 4 * bucket)
    }
    return table
  }

  // By the first 16 bits into buckets, then each small bucket by comparison.
  #sortedRows(): Uint32Array {
    const starts = new Uint32Array(0x10000 + 1)
    for (let row = 0; row < this.#count; row++) {
      const bucket = this.#hashes.readUInt16BE(row * this.#hashBytes)
      starts[bucket + 1] = (starts[bucket + 1] ?? 0) + 1
    }
    for (let bucket = 0; bucket < 0x10000; bucket++) {
      starts[bucket + 1] = (starts[bucket + 1] ?? 0) + (starts[bucket] ?? 0)
    }
    const next = starts.slice()
    const order = new Uint32Array(this.#count)
    for (let row = 0; row < this.#count; row++) {
      const bucket = this.#hashes.readUInt16BE(row * this.#hashBytes)
      const at = next[bucket] ?? 0
      order[at] = row
      next[bucket] = at + 1
    }
    for (let bucket = 0; bucket < 0x10000; bucket++) {
      const from = starts[bucket] ?? 0
      const to = starts[bucket + 1] ?? 0
      if (to - from > 1)
        order.subarray(from, to).sort((one, other) => this.#compare(one, other))
    }
    return order
  }

  #compare(one: number, other: number): number {
    const width = this.#hashBytes
    return this.#hashes.compare(
      this.#hashes,
      other * width,
      (other + 1) * width,
      one * width,
      (one + 1) * width,
    )
  }

  // The slot that holds the hash that starts at `at`, or the free one where it belongs.
  #slotOf(bytes: Buffer, at: number): number {
    const mask = this.#slots.length - 1
    const width = this.#hashBytes
    const mixed = Math.imul(bytes.readUInt32LE(at) ^ this.#seed, 0x9e3779b1)
    const spread = Math.imul(
      mixed ^ (mixed >>> 15) ^ bytes.readUInt32LE(at + 4),
      0x85ebca6b,
    )
    let slot = (spread ^ (spread >>> 13)) & mask
    for (;;) {
      const entry = this.#slots[slot] ?? 0
      if (entry === 0) return slot
      const own = (entry - 1) * width
      if (this.#hashes.readUInt32LE(own) === bytes.readUInt32LE(at)) {
        if (this.#hashes.compare(bytes, at, at + width, own, own + width) === 0)
          return slot
      }
      slot = (slot + 1) & mask
    }
  }

  #grow(): void {
    const capacity = this.#slots.length
    this.#hashes = enlarge(this.#hashes, capacity * this.#hashBytes)
    this.#infos = enlarge(this.#infos, capacity * rowBytes)
    this.#slots = new Uint32Array(capacity * 2)
    for (let row = 0; row < this.#count; row++) {
      this.#slots[this.#slotOf(this.#hashes, row * this.#hashBytes)] = row + 1
    }
  }
}

function enlarge(bytes: Buffer, length: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafe(length)
  bytes.copy(larger)
  return larger
}

function fanOutBitsFor(count: number): number {
  const buckets = Math.max(1, count / rowsPerBucket)
  return Math.min(maxFanOutBits, Math.ceil(Math.log2(buckets)))
}

function encodeFooter(tables: Buffer, offset: number, tableCount: number): Buffer {
  const footer = Buffer.alloc(footerBytes)
  footer.writeBigUInt64LE(BigInt(offset), 0)
  footer.writeBigUInt64LE(BigInt(tables.length), 8)
  footer.writeUInt32LE(tableCount, 16)
  footer.writeUInt32LE(crc32(tables), 20)
  footer.writeUInt32LE(crc32(footer.subarray(0, 24)), 24)
  trailerMagic.copy(footer, 28)
  return footer
}
