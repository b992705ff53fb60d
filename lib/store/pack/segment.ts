import { crc32 } from 'node:zlib'
import { InvalidObjectError } from '../../errors.js'
import { findAlgorithmById } from '../../object/algorithm.js'
import { parseDigestBytes } from '../../object/digest.js'
import { objectTypeByte, parseObjectType } from '../../object/object-type.js'
import {
  alignUp,
  isAligned,
  maxSegmentRecords,
  type PackPlace,
  type PackRecord,
} from './pack-format.js'

/*
 * A segment: header, record table, payloads.
 *
 *   header (24 bytes): u32 magic, u32 record count, u32 table bytes, u64 payload bytes
 *                      (from the end of the table to the end of the segment, filling
 *                      included), u32 CRC-32 of the 20 bytes before and the table
 *   record:  u8 type | codec << 4, digest (its first byte tells its length), varint size,
 *            and for a coded payload: varint stored size, u32 CRC-32 of the stored bytes
 *   payloads: in table order, back to back; raw file payloads from 16 KiB on stand last,
 *            in an aligned pack each at the next multiple of 4096 from the start of the
 *            file and followed by zeros up to the next one
 */

/** Bytes of a segment's header. */
export const segmentHeaderBytes = 24

const segmentMagic = 0x31_47_53_43
const codecs = ['raw', 'zstd'] as const
// u8 type, 66 bytes of the longest digest, two varints, CRC-32.
const maxRecordBytes = 1 + 65 + 8 + 8 + 4

/** What a record tells beside the digest. */
export type RecordFields = Omit<PackRecord, 'digest'>

/** A segment's header, parsed but not yet held against its table. */
export type SegmentHeader = {
  readonly count: number
  readonly tableBytes: number
  readonly payloadBytes: number
  readonly crc: number
}

/** A row of encoded records: a part of a segment's table. */
export class RecordRows {
  #bytes = Buffer.allocUnsafe(4096)
  #used = 0
  #count = 0

  get count(): number {
    return this.#count
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#used)
  }

  /** @param digest - the binary form */
  add(digest: Buffer, record: RecordFields): void {
    if (this.#used + maxRecordBytes > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(2 * this.#bytes.length)
      this.#bytes.copy(larger, 0, 0, this.#used)
      this.#bytes = larger
    }
    this.#used = writeRecord(this.#bytes, digest, record, this.#used)
    this.#count += 1
  }

  clear(): void {
    this.#used = 0
    this.#count = 0
  }
}

/**
 * Encodes header and record table.
 *
 * @param rows - the records whose payloads stand back to back, then the aligned ones
 * @param payloadBytes - from the end of the table to the end of the segment
 */
export function encodeSegmentHead(
  rows: readonly RecordRows[],
  payloadBytes: number,
): Buffer {
  const table = Buffer.concat(rows.map(({ bytes }) => bytes))
  const header = Buffer.allocUnsafe(segmentHeaderBytes)
  header.writeUInt32LE(segmentMagic, 0)
  header.writeUInt32LE(
    rows.reduce((sum, { count }) => sum + count, 0),
    4,
  )
  header.writeUInt32LE(table.length, 8)
  header.writeBigUInt64LE(BigInt(payloadBytes), 12)
  header.writeUInt32LE(crc32(table, crc32(header.subarray(0, 20))), 20)
  return Buffer.concat([header, table])
}

/** Parses a segment's header; throws InvalidObjectError. `where` names the pack. */
export function decodeSegmentHeader(bytes: Buffer, where: string): SegmentHeader {
  const magic = bytes.readUInt32LE(0)
  const count = bytes.readUInt32LE(4)
  const tableBytes = bytes.readUInt32LE(8)
  const payloadBytes = bytes.readBigUInt64LE(12)
  if (magic !== segmentMagic) throw invalid(where, `no segment starts here`)
  if (count === 0 || count > maxSegmentRecords || tableBytes > count * maxRecordBytes) {
    throw invalid(where, `${count} records in ${tableBytes} bytes are beyond the bounds`)
  }
  if (payloadBytes > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw invalid(where, `payloads of ${payloadBytes} bytes are beyond 2^53-1`)
  }
  return {
    count,
    tableBytes,
    payloadBytes: Number(payloadBytes),
    crc: bytes.readUInt32LE(20),
  }
}

/**
 * Parses a record table and places its payloads; throws InvalidObjectError.
 *
 * @param head - the whole head: header and table
 */
export function decodeSegmentTable(
  head: Buffer,
  { start, aligned, where }: { start: number; aligned: boolean; where: string },
): PackPlace[] {
  const header = decodeSegmentHeader(head, where)
  const table = head.subarray(segmentHeaderBytes)
  if (crc32(table, crc32(head.subarray(0, 20))) !== header.crc) {
    throw invalid(where, 'the segment table does not have its checksum')
  }
  const records: PackRecord[] = []
  let offset = 0
  for (let index = 0; index < header.count; index++) {
    const { record, next } = readRecord(table, offset, where)
    const before = records.at(-1)
    if (before !== undefined && isAligned(before) && !isAligned(record)) {
      throw invalid(where, `${record.digest} stands behind an aligned payload`)
    }
    records.push(record)
    offset = next
  }
  if (offset !== table.length)
    throw invalid(where, 'the segment table is longer than its records')
  const { places, end } = placeRecords(records, start + head.length, aligned)
  if (end - start - head.length !== header.payloadBytes) {
    throw invalid(
      where,
      `payloads take ${end - start - head.length} bytes, found ${header.payloadBytes}`,
    )
  }
  return places
}

/** Lays payloads out from `from` on; `end` is where the segment ends. */
function placeRecords(
  records: readonly PackRecord[],
  from: number,
  aligned: boolean,
): { places: PackPlace[]; end: number } {
  const places: PackPlace[] = []
  let end = from
  for (const record of records) {
    const stands = aligned && isAligned(record)
    const offset = stands ? alignUp(end) : end
    places.push({ ...record, offset })
    end = stands ? alignUp(offset + record.storedSize) : offset + record.storedSize
  }
  return { places, end }
}

function writeRecord(
  bytes: Buffer,
  digest: Buffer,
  record: RecordFields,
  start: number,
): number {
  bytes[start] = objectTypeByte(record.type) | (codecs.indexOf(record.codec) << 4)
  let offset = start + 1 + digest.copy(bytes, start + 1)
  offset = writeVarint(bytes, record.size, offset)
  if (record.codec === 'raw') return offset
  offset = writeVarint(bytes, record.storedSize, offset)
  return bytes.writeUInt32LE(record.crc, offset)
}

function readRecord(
  table: Buffer,
  start: number,
  where: string,
): { record: PackRecord; next: number } {
  const kind = table[start] ?? 0xff
  const codec = codecs[kind >> 4]
  const algorithm = findAlgorithmById(table[start + 1] ?? 0xff)
  if (codec === undefined || algorithm === undefined) {
    throw invalid(where, `a record has an unknown codec or digest algorithm`)
  }
  const type = parseObjectType(kind & 0x0f)
  const digestEnd = start + 2 + algorithm.hashBytes
  const digest = parseDigestBytes(table.subarray(start + 1, digestEnd))
  const size = readVarint(table, digestEnd, where)
  if (codec === 'raw') {
    const record = {
      digest,
      type,
      codec,
      size: size.value,
      storedSize: size.value,
      crc: 0,
    }
    return { record, next: size.next }
  }
  const stored = readVarint(table, size.next, where)
  if (stored.next + 4 > table.length) throw invalid(where, 'the segment table is cut off')
  const crc = table.readUInt32LE(stored.next)
  return {
    record: { digest, type, codec, size: size.value, storedSize: stored.value, crc },
    next: stored.next + 4,
  }
}

function writeVarint(bytes: Buffer, value: number, start: number): number {
  let offset = start
  let left = value
  while (left > 0x7f) {
    bytes[offset++] = (left % 0x80) | 0x80
    left = Math.floor(left / 0x80)
  }
  bytes[offset++] = left
  return offset
}

function readVarint(
  bytes: Buffer,
  start: number,
  where: string,
): { value: number; next: number } {
  let value = 0
  let factor = 1
  for (let offset = start; offset < start + 8; offset++) {
    const byte = bytes[offset]
    if (byte === undefined) throw invalid(where, 'the segment table is cut off')
    value += (byte & 0x7f) * factor
    factor *= 0x80
    if (byte < 0x80) {
      if (byte === 0 && offset > start)
        throw invalid(where, 'a size is not in its shortest form')
      if (!Number.isSafeInteger(value)) throw invalid(where, 'a size is beyond 2^53-1')
      return { value, next: offset + 1 }
    }
  }
  throw invalid(where, 'a size is longer than 8 bytes')
}

function invalid(where: string, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid pack ${where}: ${problem}`, { where })
}
