import { crc32 } from 'node:zlib'
import { InvalidObjectError } from '../../errors.js'
import { findAlgorithmById } from '../../object/algorithm.js'
import { type Digest, findDigestAt } from '../../object/digest.js'
import { parseObjectType } from '../../object/object-type.js'
import { codecs, type PackPlace, trailerMagic } from './pack-format.js'

/*
 * The sorted table at the end of a sealed pack, its trailer.
 *
 *   per algorithm, ascending by id:
 *     u8 id, u8 fan-out bits f, u16 zero, u32 row count
 *     fan-out: 2^f times u32: how many hashes start with these first f bits or fewer
 *     hashes: ascending, each once
 *     rows: 20 bytes each: u8 type, u8 codec, u48 offset, u48 stored size, u48 size
 *   footer, 36 bytes: u64 offset of the first table, u64 bytes of all tables, u32 table
 *     count, u32 CRC-32 of the tables, u32 CRC-32 of the 24 bytes before, 8 bytes magic
 *
 * The fan-out is sized so that a look-up reads some 64 hashes, whatever the row count.
 * The merged index has the same tables with longer rows (multi-index.ts).
 */

/** Bytes of the footer at the very end of a sealed pack. */
export const footerBytes = 36

/** Bytes in front of a table's fan-out. */
export const tableHeaderBytes = 8

/** Bytes of one row. */
export const rowBytes = 20

/** Most bits of a hash that a fan-out distinguishes. */
export const maxFanOutBits = 20

const roomBytes = 4096

/** Decodes a row; throws InvalidObjectError for an unknown type or codec. */
export function readRow(rows: Buffer, at: number, digest: Digest): PackPlace {
  const codec = codecs[rows.readUInt8(at + 1)]
  if (codec === undefined) {
    throw new InvalidObjectError(
      `unknown codec of ${digest}: found ${rows.readUInt8(at + 1)}`,
    )
  }
  return {
    digest,
    type: parseObjectType(rows.readUInt8(at)),
    codec,
    offset: rows.readUIntLE(at + 2, 6),
    storedSize: rows.readUIntLE(at + 8, 6),
    size: rows.readUIntLE(at + 14, 6),
    crc: 0,
  }
}

/** A parsed footer. */
export type PackFooter = {
  readonly offset: number
  readonly bytes: number
  readonly tableCount: number
  readonly crc: number
}

/**
 * Reads bytes of the trailer: offsets count from its first table.
 *
 * They may be put into `room`, where that is given and large enough.
 */
export type TrailerReader = (offset: number, length: number, room?: Buffer) => Buffer

/** Room for some bytes: what is lent, where it is large enough. */
export function roomFor(length: number, room: Buffer | undefined): Buffer {
  return room !== undefined && length <= room.length
    ? room.subarray(0, length)
    : Buffer.allocUnsafeSlow(length)
}

/** One algorithm's table: where its parts lie. */
export type IndexTable = {
  readonly algorithm: number
  readonly hashBytes: number
  readonly fanOutBits: number
  readonly count: number
  readonly fanOutAt: number
  readonly hashesAt: number
  readonly rowsAt: number
}

/** Parses a footer, the last bytes of a file; throws InvalidObjectError. */
export function decodeFooter(
  footer: Buffer,
  fileBytes: number,
  { where, magic = trailerMagic }: { where: string; magic?: Buffer },
): PackFooter {
  const good =
    footer.length === footerBytes &&
    footer.subarray(28).equals(magic) &&
    footer.readUInt32LE(24) === crc32(footer.subarray(0, 24))
  if (!good) throw invalid(where, 'no whole trailer at the end: the pack was not sealed')
  const offset = Number(footer.readBigUInt64LE(0))
  const bytes = Number(footer.readBigUInt64LE(8))
  if (offset + bytes + footerBytes !== fileBytes) {
    throw invalid(
      where,
      `trailer at ${offset} with ${bytes} bytes, found a file of ${fileBytes}`,
    )
  }
  return {
    offset,
    bytes,
    tableCount: footer.readUInt32LE(16),
    crc: footer.readUInt32LE(20),
  }
}

/** Encodes a footer. */
export function encodeFooter(
  { offset, bytes, tableCount, crc }: PackFooter,
  magic: Buffer = trailerMagic,
): Buffer {
  const footer = Buffer.alloc(footerBytes)
  footer.writeBigUInt64LE(BigInt(offset), 0)
  footer.writeBigUInt64LE(BigInt(bytes), 8)
  footer.writeUInt32LE(tableCount, 16)
  footer.writeUInt32LE(crc, 20)
  footer.writeUInt32LE(crc32(footer.subarray(0, 24)), 24)
  magic.copy(footer, 28)
  return footer
}

/** Sorted hashes with a row of fixed size for each. */
export class SortedTables {
  readonly tables: readonly IndexTable[]
  readonly #read: TrailerReader
  readonly #where: string
  readonly #rowBytes: number
  readonly #byAlgorithm: (IndexTable | undefined)[] = []
  /** By algorithm: rows of the tables before. */
  readonly #rowsBefore: number[] = []
  readonly #fanOuts: (Buffer | undefined)[] = []
  // A buffer for each look-up would cost more than the reading.
  readonly #hashRoom = Buffer.allocUnsafeSlow(roomBytes)
  readonly #rowRoom = Buffer.allocUnsafeSlow(roomBytes)

  /**
   * Reads the table headers; throws InvalidObjectError.
   *
   * @param read - reads the tables, from memory or from disk
   */
  constructor(read: TrailerReader, footer: PackFooter, width: number, where: string) {
    this.#read = read
    this.#where = where
    this.#rowBytes = width
    const tables: IndexTable[] = []
    let at = 0
    let rows = 0
    for (let index = 0; index < footer.tableCount; index++) {
      const table = this.#readTable(at, footer.bytes)
      if (table.algorithm <= (tables.at(-1)?.algorithm ?? -1)) {
        throw invalid(where, 'the tables do not ascend by algorithm')
      }
      tables.push(table)
      this.#byAlgorithm[table.algorithm] = table
      this.#rowsBefore[table.algorithm] = rows
      rows += table.count
      at = table.rowsAt + table.count * width
    }
    if (at !== footer.bytes) throw invalid(where, 'the trailer is longer than its tables')
    this.tables = tables
  }

  /** Rows of all tables. */
  get count(): number {
    return this.tables.reduce((sum, table) => sum + table.count, 0)
  }

  /**
   * Finds the rows of a digest; they are lost with the next call.
   *
   * @param digest - the binary form
   */
  find(digest: Buffer): Buffer | undefined {
    const found = this.#locate(digest)
    if (found === undefined) return undefined
    const { table, first, count } = found
    return this.#read(
      table.rowsAt + first * this.#rowBytes,
      count * this.#rowBytes,
      this.#rowRoom,
    )
  }

  /**
   * The number of a digest's first row, counted over all tables.
   *
   * @param digest - the binary form
   */
  ordinal(digest: Buffer): number | undefined {
    const found = this.#locate(digest)
    if (found === undefined) return undefined
    return (this.#rowsBefore[found.table.algorithm] ?? 0) + found.first
  }

  #locate(
    digest: Buffer,
  ): { table: IndexTable; first: number; count: number } | undefined {
    const table = this.#byAlgorithm[digest[0] ?? 255]
    if (table === undefined || digest.length !== 1 + table.hashBytes) return undefined
    const key = digest.readUInt32BE(1)
    const fanOut = this.#fanOut(table)
    const bucket = table.fanOutBits === 0 ? 0 : key >>> (32 - table.fanOutBits)
    const from = bucket === 0 ? 0 : fanOut.readUInt32LE(4 * (bucket - 1))
    const to = fanOut.readUInt32LE(4 * bucket)
    if (from > to || to > table.count)
      throw invalid(this.#where, 'the fan-out does not ascend')
    if (from === to) return undefined
    const width = table.hashBytes
    const hashes = this.#read(
      table.hashesAt + from * width,
      (to - from) * width,
      this.#hashRoom,
    )
    const first = searchHash(hashes, width, digest, key)
    if (first === -1) return undefined
    let last = first
    while (last < to - from && compareAt(hashes, width, last, digest) === 0) last += 1
    return { table, first: from + first, count: last - first }
  }

  /** Rows in ascending order of digests, read in bounded pieces. */
  *rows(prefix = ''): Generator<{ digest: Digest; rows: Buffer; at: number }> {
    for (const table of this.tables) {
      const { from, to } = rowsOfPrefix(table, this.#fanOut(table), prefix)
      for (const { hashes, rows, count } of this.pieces(table, from, to)) {
        for (let row = 0; row < count; row++) {
          const at = row * (1 + table.hashBytes)
          const digest = findDigestAt(hashes, at, at + 1 + table.hashBytes)
          if (digest?.startsWith(prefix) === true) {
            yield { digest, rows, at: row * this.#rowBytes }
          }
        }
      }
    }
  }

  /** Digests in binary form and rows of one table, some thousands at a time. */
  *pieces(
    table: IndexTable,
    from: number,
    to: number,
  ): Generator<{ hashes: Buffer; rows: Buffer; count: number }> {
    const piece = 4096
    const width = table.hashBytes
    for (let start = from; start < to; start += piece) {
      const count = Math.min(piece, to - start)
      const bare = this.#read(table.hashesAt + start * width, count * width)
      const hashes = Buffer.alloc(count * (width + 1), table.algorithm)
      for (let row = 0; row < count; row++) {
        bare.copy(hashes, row * (width + 1) + 1, row * width, (row + 1) * width)
      }
      const rows = this.#read(
        table.rowsAt + start * this.#rowBytes,
        count * this.#rowBytes,
      )
      yield { hashes, rows, count }
    }
  }

  /** How many hashes start with each value of a table's first bits, or a lesser one. */
  fanOutOf(table: IndexTable): Buffer {
    return this.#fanOut(table)
  }

  #readTable(at: number, bytes: number): IndexTable {
    if (at + tableHeaderBytes > bytes)
      throw invalid(this.#where, 'the trailer is cut off')
    const header = this.#read(at, tableHeaderBytes)
    const algorithm = header.readUInt8(0)
    const fanOutBits = header.readUInt8(1)
    const count = header.readUInt32LE(4)
    const hashBytes = findAlgorithmById(algorithm)?.hashBytes
    if (
      hashBytes === undefined ||
      fanOutBits > maxFanOutBits ||
      header.readUInt16LE(2) !== 0
    ) {
      throw invalid(
        this.#where,
        `no index table: algorithm ${algorithm}, fan-out ${fanOutBits}`,
      )
    }
    const fanOutAt = at + tableHeaderBytes
    const hashesAt = fanOutAt + 4 * 2 ** fanOutBits
    const rowsAt = hashesAt + count * hashBytes
    if (rowsAt + count * this.#rowBytes > bytes)
      throw invalid(this.#where, 'the trailer is cut off')
    return { algorithm, hashBytes, fanOutBits, count, fanOutAt, hashesAt, rowsAt }
  }

  #fanOut(table: IndexTable): Buffer {
    return (this.#fanOuts[table.algorithm] ??= this.#read(
      table.fanOutAt,
      4 * 2 ** table.fanOutBits,
    ))
  }
}

/** Looks objects up in the trailer of one pack. */
export class PackIndex extends SortedTables {
  constructor(read: TrailerReader, footer: PackFooter, where: string) {
    super(read, footer, rowBytes, where)
  }

  /** Places of one table's rows in ascending order of digests, some thousands at a time. */
  *placesOfTable(table: IndexTable, from: number, to: number): Generator<PackPlace[]> {
    const width = 1 + table.hashBytes
    for (const { hashes, rows, count } of this.pieces(table, from, to)) {
      const places: PackPlace[] = []
      for (let row = 0; row < count; row++) {
        const digest = findDigestAt(hashes, row * width, (row + 1) * width)
        if (digest !== undefined) places.push(readRow(rows, row * rowBytes, digest))
      }
      yield places
    }
  }

  /** Every place in ascending order of digests, read in bounded pieces. */
  *places(prefix = ''): Generator<PackPlace> {
    for (const { digest, rows, at } of this.rows(prefix)) yield readRow(rows, at, digest)
  }
}

// The first row whose hash is the digest's, or -1.
function searchHash(hashes: Buffer, width: number, digest: Buffer, key: number): number {
  let low = 0
  let high = hashes.length / width
  while (low < high) {
    const middle = (low + high) >>> 1
    // The first four bytes nearly always decide, without a call out of the engine.
    const found = hashes.readUInt32BE(middle * width)
    const isBefore =
      found === key ? compareAt(hashes, width, middle, digest) < 0 : found < key
    if (isBefore) low = middle + 1
    else high = middle
  }
  const isThere =
    low * width < hashes.length && compareAt(hashes, width, low, digest) === 0
  return isThere ? low : -1
}

function compareAt(hashes: Buffer, width: number, row: number, digest: Buffer): number {
  return hashes.compare(digest, 1, 1 + width, row * width, (row + 1) * width)
}

// The fan-out narrows a prefix to some rows around it.
function rowsOfPrefix(
  table: IndexTable,
  fanOut: Buffer,
  prefix: string,
): { from: number; to: number } {
  const id = table.algorithm.toString(16).padStart(2, '0')
  const hash = prefix.slice(2)
  if (!id.startsWith(prefix.slice(0, 2)) || !/^[0-9a-f]*$/.test(hash))
    return { from: 0, to: 0 }
  if (table.fanOutBits === 0 || hash === '') return { from: 0, to: table.count }
  const shift = 32 - table.fanOutBits
  const first = Number.parseInt(hash.slice(0, 8).padEnd(8, '0'), 16) >>> shift
  const last = Number.parseInt(hash.slice(0, 8).padEnd(8, 'f'), 16) >>> shift
  const from = first === 0 ? 0 : fanOut.readUInt32LE(4 * (first - 1))
  const to = Math.min(table.count, fanOut.readUInt32LE(4 * last))
  return { from, to }
}

function invalid(where: string, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid pack ${where}: ${problem}`, { where })
}
