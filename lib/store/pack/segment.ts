import { crc32 } from 'node:zlib'
import { InvalidObjectError } from '../../errors.js'
import { findAlgorithmById } from '../../object/algorithm.js'
import { parseDigestBytes } from '../../object/digest.js'
import { objectTypeByte, parseObjectType } from '../../object/object-type.js'
import {
  alignment,
  alignUp,
  codecs,
  frameBytes,
  isAligned,
  maxCodedBytes,
  maxPackBytes,
  maxSegmentRecords,
  type PackPlace,
  type PackRecord,
  type RecordFields,
  segmentBytes,
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
 *
 * The row of segments ends with an end mark: a header with no records and no table, whose
 * payload bytes tell how many records stood in all segments before.
 */

/** Bytes of a segment's header, and of the end mark. */
export const segmentHeaderBytes = 24

const segmentMagic = 0x31_47_53_43
// u8 type, 65 bytes of the longest digest, two varints of 48 bits, CRC-32.
const maxRecordBytes = 1 + 65 + 7 + 7 + 4

/** A segment's header, parsed but not yet held against its table. */
export type SegmentHeader = {
  readonly kind: 'segment'
  readonly count: number
  readonly tableBytes: number
  readonly payloadBytes: number
}

/** What stands behind the last segment. */
export type EndMark = {
  readonly kind: 'end'
  /** Records of all segments. */
  readonly total: number
}

/** A row of encoded records: a part of a segment's table. */
export class RecordRows {
  #bytes = Buffer.allocUnsafeSlow(4096)
  #used = 0
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Bytes of the rows. */
  get used(): number {
    return this.#used
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#used)
  }

  /** @param digest - the binary form in its first `digestLength` bytes */
  add(digest: Buffer, digestLength: number, record: RecordFields): void {
    if (this.#used + maxRecordBytes > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * this.#bytes.length)
      this.#bytes.copy(larger, 0, 0, this.#used)
      this.#bytes = larger
    }
    const bytes = this.#bytes
    let offset = this.#used
    const isRaw = record.codec === 'raw'
    bytes[offset++] = objectTypeByte(record.type) | (codecs.indexOf(record.codec) << 4)
    // A copy call costs more than these few bytes.
    for (let index = 0; index < digestLength; index++) {
      bytes[offset++] = digest[index] ?? 0
    }
    offset = writeVarint(bytes, record.size, offset)
    if (!isRaw) {
      offset = writeVarint(bytes, record.storedSize, offset)
      offset = bytes.writeUInt32LE(record.crc, offset)
    }
    this.#used = offset
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
  const count = rows.reduce((sum, row) => sum + row.count, 0)
  const tableBytes = rows.reduce((sum, row) => sum + row.used, 0)
  const head = Buffer.allocUnsafe(segmentHeaderBytes + tableBytes)
  let offset = segmentHeaderBytes
  for (const { bytes } of rows) offset += bytes.copy(head, offset)
  return fillHeader(head, count, payloadBytes)
}

/** Encodes what stands behind the last of segments that hold `total` records. */
export function encodeEndMark(total: number): Buffer {
  return fillHeader(Buffer.allocUnsafe(segmentHeaderBytes), 0, total)
}

function fillHeader(head: Buffer, count: number, payloadBytes: number): Buffer {
  head.writeUInt32LE(segmentMagic, 0)
  head.writeUInt32LE(count, 4)
  head.writeUInt32LE(head.length - segmentHeaderBytes, 8)
  head.writeBigUInt64LE(BigInt(payloadBytes), 12)
  head.writeUInt32LE(headCrc(head), 20)
  return head
}

function headCrc(head: Buffer): number {
  return crc32(head.subarray(segmentHeaderBytes), crc32(head.subarray(0, 20)))
}

/**
 * Parses the 24 bytes of a header or an end mark; throws InvalidObjectError.
 *
 * @param where - names the pack
 */
export function decodeSegmentHeader(
  bytes: Buffer,
  where: string,
): SegmentHeader | EndMark {
  const count = bytes.readUInt32LE(4)
  const tableBytes = bytes.readUInt32LE(8)
  const payloadBytes = Number(bytes.readBigUInt64LE(12))
  if (bytes.readUInt32LE(0) !== segmentMagic)
    throw invalid(where, 'no segment starts here')
  if (payloadBytes > maxPackBytes) {
    throw invalid(where, `payloads of ${payloadBytes} bytes are beyond 2^48-1`)
  }
  if (count === 0) {
    if (
      tableBytes !== 0 ||
      headCrc(bytes.subarray(0, segmentHeaderBytes)) !== crcOf(bytes)
    )
      throw invalid(where, 'the end mark does not have its checksum')
    return { kind: 'end', total: payloadBytes }
  }
  if (count > maxSegmentRecords || tableBytes > count * maxRecordBytes) {
    throw invalid(where, `${count} records in ${tableBytes} bytes are beyond the bounds`)
  }
  if (count > 1 && payloadBytes > segmentBytes + 2 * alignment) {
    throw invalid(where, `${count} payloads of ${payloadBytes} bytes are beyond 8 MiB`)
  }
  return { kind: 'segment', count, tableBytes, payloadBytes }
}

function crcOf(head: Buffer): number {
  return head.readUInt32LE(20)
}

/** Where a segment stands, and how its payloads do. */
export type SegmentPlace = {
  readonly start: number
  readonly aligned: boolean
  readonly where: string
}

/**
 * Parses a record table and places its payloads; throws InvalidObjectError.
 *
 * @param head - the whole head: header and table
 */
export function decodeSegmentTable(head: Buffer, segment: SegmentPlace): PackPlace[] {
  return [...walkSegmentTable(head, segment)]
}

/** As decodeSegmentTable, one by one; only a walk to the end has checked all. */
export function* walkSegmentTable(
  head: Buffer,
  { start, aligned, where }: SegmentPlace,
): Generator<PackPlace, void> {
  const header = decodeSegmentHeader(head, where)
  if (header.kind === 'end') return
  const table = head.subarray(segmentHeaderBytes)
  if (headCrc(head) !== crcOf(head)) {
    throw invalid(where, 'the segment table does not have its checksum')
  }
  let offset = 0
  let end = start + head.length
  let isBehindPlain = false
  for (let index = 0; index < header.count; index++) {
    const { record, next } = readRecord(table, offset, where)
    const stands = isAligned(record)
    if (isBehindPlain && !stands) {
      throw invalid(where, `${record.digest} stands behind an aligned payload`)
    }
    isBehindPlain = stands
    const at = aligned && stands ? alignUp(end) : end
    yield { ...record, offset: at }
    end = at + record.storedSize
    if (aligned && stands) end = alignUp(end)
    offset = next
  }
  if (offset !== table.length) {
    throw invalid(where, 'the segment table is longer than its records')
  }
  const found = end - start - head.length
  if (found !== header.payloadBytes) {
    throw invalid(
      where,
      `payloads take ${found} bytes, the header says ${header.payloadBytes}`,
    )
  }
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
    throw invalid(where, 'a record has an unknown codec or digest algorithm')
  }
  const type = parseObjectType(kind & 0x0f)
  const digestEnd = start + 2 + algorithm.hashBytes
  const digest = parseDigestBytes(table.subarray(start + 1, digestEnd))
  const { value: size, next } = readVarint(table, digestEnd, where)
  if (codec === 'raw') {
    return { record: { digest, type, codec, size, storedSize: size, crc: 0 }, next }
  }
  const stored = readVarint(table, next, where)
  if (stored.next + 4 > table.length) throw invalid(where, 'the segment table is cut off')
  const crc = table.readUInt32LE(stored.next)
  const storedSize = stored.value
  if (!areCodedSizes(size, storedSize)) {
    throw invalid(where, `${size} bytes coded in ${storedSize} are beyond the bounds`)
  }
  return {
    record: { digest, type, codec, size, storedSize, crc },
    next: stored.next + 4,
  }
}

/** Whether a coded payload can have these sizes. */
export function areCodedSizes(size: number, storedSize: number): boolean {
  const frames = Math.ceil(size / frameBytes)
  // What does not shrink is stored raw; a frame has a stored length and a header of its own.
  return storedSize < size && storedSize >= frames * 8 && size <= maxCodedBytes
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
  for (let offset = start; offset < start + 7; offset++) {
    const byte = bytes[offset]
    if (byte === undefined) throw invalid(where, 'the segment table is cut off')
    value += (byte & 0x7f) * factor
    factor *= 0x80
    if (byte < 0x80) {
      if (byte === 0 && offset > start)
        throw invalid(where, 'a size is not in its shortest form')
      if (value > maxPackBytes) throw invalid(where, 'a size is beyond 2^48-1')
      return { value, next: offset + 1 }
    }
  }
  throw invalid(where, 'a size is beyond 2^48-1')
}

function invalid(where: string, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid pack ${where}: ${problem}`, { where })
}
