import { crc32 } from 'node:zlib'
import { InvalidObjectError } from '../../errors.js'
import { findAlgorithmById } from '../../object/algorithm.js'
import { type Digest, digestBytes, parseDigestBytes } from '../../object/digest.js'
import { objectTypeByte, parseObjectType } from '../../object/object-type.js'
import { alignedFrom, type Codec, type PackPlace, trailerMagic } from './pack-format.js'

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
 */

/** Bytes of the footer at the very end of a sealed pack. */
export const footerBytes = 36

/** Bytes in front of a table's fan-out. */
export const tableHeaderBytes = 8

/** Bytes of one row. */
export const rowBytes = 20

/** Most bits of a hash that a fan-out distinguishes. */
export const maxFanOutBits = 20

const codecs: readonly Codec[] = ['raw', 'zstd']

/** What a row tells. */
export type RowFields = Omit<PackPlace, 'digest' | 'crc'>

/** Encodes a row: u8 type, u8 codec, u48 offset, u48 stored size, u48 size. */
export function writeRow(rows: Buffer, place: RowFields, at: number): void {
  rows.writeUInt8(objectTypeByte(place.type), at)
  rows.writeUInt8(codecs.indexOf(place.codec), at + 1)
  rows.writeUIntLE(place.offset, at + 2, 6)
  rows.writeUIntLE(place.storedSize, at + 8, 6)
  rows.writeUIntLE(place.size, at + 14, 6)
}

/** Changes the offset of a row; `move` is told whether its payload stands aligned. */
export function moveRow(
  rows: Buffer,
  at: number,
  move: (offset: number, aligned: boolean) => number,
): void {
  const aligned =
    rows[at] === objectTypeByte('file') &&
    rows[at + 1] === 0 &&
    rows.readUIntLE(at + 14, 6) >= alignedFrom
  rows.writeUIntLE(move(rows.readUIntLE(at + 2, 6), aligned), at + 2, 6)
}

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

/** Reads bytes of the trailer: offsets count from its first table. */
export type TrailerReader = (offset: number, length: number) => Buffer

type IndexTable = {
  readonly algorithm: number
  readonly hashBytes: number
  readonly fanOutBits: number
  readonly count: number
  readonly fanOutAt: number
  readonly hashesAt: number
  readonly rowsAt: number
}

/** Parses a footer, the last bytes of a pack; throws InvalidObjectError. */
export function decodeFooter(
  footer: Buffer,
  fileBytes: number,
  where: string,
): PackFooter {
  const good =
    footer.length === footerBytes &&
    footer.subarray(28).equals(trailerMagic) &&
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

/** Looks objects up in the trailer of one pack. */
export class PackIndex {
  readonly #read: TrailerReader
  readonly #where: string
  readonly #tables: IndexTable[] = []
  readonly #fanOuts = new Map<number, Buffer>()

  /**
   * Reads the table headers; throws InvalidObjectError.
   *
   * @param read - reads the trailer, from memory or from disk
   */
  constructor(read: TrailerReader, footer: PackFooter, where: string) {
    this.#read = read
    this.#where = where
    let at = 0
    for (let index = 0; index < footer.tableCount; index++) {
      const table = this.#readTable(at, footer.bytes)
      this.#tables.push(table)
      at = table.rowsAt + table.count * rowBytes
    }
    if (at !== footer.bytes) throw invalid(where, 'the trailer is longer than its tables')
  }

  /** Objects in the pack. */
  get count(): number {
    return this.#tables.reduce((sum, table) => sum + table.count, 0)
  }

  /** Finds where an object lies. */
  find(digest: Digest): PackPlace | undefined {
    const bytes = digestBytes(digest)
    const table = this.#tables.find(({ algorithm }) => algorithm === bytes[0])
    if (table === undefined) return undefined
    const hash = bytes.subarray(1)
    const [from, to] = this.#bucket(table, hash)
    if (from >= to) return undefined
    const hashes = this.#read(
      table.hashesAt + from * table.hashBytes,
      (to - from) * table.hashBytes,
    )
    const row = searchHash(hashes, table.hashBytes, hash)
    return row === undefined ? undefined : this.#placeAt(table, from + row, digest)
  }

  /** Every row in ascending order of digests, read in bounded pieces. */
  *places(prefix = ''): Generator<PackPlace> {
    const piece = 4096
    for (const table of this.#tables) {
      const id = table.algorithm.toString(16).padStart(2, '0')
      if (!id.startsWith(prefix.slice(0, 2))) continue
      for (let from = 0; from < table.count; from += piece) {
        const rows = Math.min(piece, table.count - from)
        const hashes = this.#read(
          table.hashesAt + from * table.hashBytes,
          rows * table.hashBytes,
        )
        const infos = this.#read(table.rowsAt + from * rowBytes, rows * rowBytes)
        for (let row = 0; row < rows; row++) {
          const hash = hashes.subarray(row * table.hashBytes, (row + 1) * table.hashBytes)
          const digest = parseDigestBytes(
            Buffer.concat([Buffer.from([table.algorithm]), hash]),
          )
          if (digest.startsWith(prefix)) {
            yield readRow(infos, row * rowBytes, digest)
          }
        }
      }
    }
  }

  #readTable(at: number, bytes: number): IndexTable {
    if (at + tableHeaderBytes > bytes)
      throw invalid(this.#where, 'the trailer is cut off')
    const header = this.#read(at, tableHeaderBytes)
    const algorithm = header.readUInt8(0)
    const fanOutBits = header.readUInt8(1)
    const count = header.readUInt32LE(4)
    const hashBytes = findAlgorithmById(algorithm)?.hashBytes
    const before = this.#tables.at(-1)?.algorithm ?? -1
    if (hashBytes === undefined || algorithm <= before || fanOutBits > maxFanOutBits) {
      throw invalid(
        this.#where,
        `no index table: algorithm ${algorithm}, fan-out ${fanOutBits}`,
      )
    }
    const fanOutAt = at + tableHeaderBytes
    const hashesAt = fanOutAt + 4 * 2 ** fanOutBits
    const rowsAt = hashesAt + count * hashBytes
    if (rowsAt + count * rowBytes > bytes)
      throw invalid(this.#where, 'the trailer is cut off')
    return { algorithm, hashBytes, fanOutBits, count, fanOutAt, hashesAt, rowsAt }
  }

  #bucket(table: IndexTable, hash: Buffer): [from: number, to: number] {
    const fanOut = this.#fanOut(table)
    const bucket =
      table.fanOutBits === 0 ? 0 : hash.readUInt32BE(0) >>> (32 - table.fanOutBits)
    const from = bucket === 0 ? 0 : fanOut.readUInt32LE(4 * (bucket - 1))
    const to = fanOut.readUInt32LE(4 * bucket)
    if (from > to || to > table.count)
      throw invalid(this.#where, 'the fan-out does not ascend')
    return [from, to]
  }

  #fanOut(table: IndexTable): Buffer {
    let fanOut = this.#fanOuts.get(table.algorithm)
    if (fanOut === undefined) {
      fanOut = this.#read(table.fanOutAt, 4 * 2 ** table.fanOutBits)
      this.#fanOuts.set(table.algorithm, fanOut)
    }
    return fanOut
  }

  #placeAt(table: IndexTable, row: number, digest: Digest): PackPlace {
    return readRow(this.#read(table.rowsAt + row * rowBytes, rowBytes), 0, digest)
  }
}

function searchHash(hashes: Buffer, width: number, hash: Buffer): number | undefined {
  let low = 0
  let high = hashes.length / width
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = hashes.compare(hash, 0, width, middle * width, (middle + 1) * width)
    if (order === 0) return middle
    if (order < 0) low = middle + 1
    else high = middle
  }
  return undefined
}

function invalid(where: string, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid pack ${where}: ${problem}`, { where })
}
