import { fstatSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { type FileCalls, writeFully } from './file-calls.js'

/**
 * How the records of a log end.
 *
 * `whole`: the last record ends where the file does. `torn`: what follows `offset` is the
 * beginning of an append that never finished; the next append cuts it off. `damaged`: what
 * follows `offset` can be no such beginning, so records may have been lost.
 */
export type RecordLogEnd = {
  readonly kind: 'whole' | 'torn' | 'damaged'
  /** Bytes of the file up to the end of the last whole record. */
  readonly offset: number
}

/** Bytes of the longest record body. */
export const maxRecordBytes = 1 << 20

const lengthBytes = 4
const frameBytes = lengthBytes + 4
const windowBytes = 1 << 16

/**
 * Reads the record bodies of an append-only log, oldest first, and tells how it ends.
 *
 * A record is: u32 length of the body, the body, u32 CRC-32 (that of zlib and IEEE 802.3)
 * over length and body; all little-endian. A length of 0 is invalid, so zeros that a crash
 * left behind are no records. Bodies are the caller's to keep.
 */
export function* readRecords(fd: number): Generator<Buffer, RecordLogEnd> {
  const { size } = fstatSync(fd)
  let offset = 0
  let window: Buffer = Buffer.alloc(0)
  while (offset < size) {
    window = fillWindow(fd, { window, offset, size })
    const body = findRecord(window)
    if (body === undefined) {
      return { kind: isTorn(fd, { window, offset, size }) ? 'torn' : 'damaged', offset }
    }
    yield Buffer.from(body)
    offset += frameBytes + body.length
    window = window.subarray(frameBytes + body.length)
  }
  return { kind: 'whole', offset }
}

/**
 * Appends records and makes them durable; cuts off a torn record first.
 *
 * `fd` is open for appending, and the caller keeps other writers out from the reading of
 * `end` on. After a failed write the file is cut back to where it was; where even that
 * fails, a torn record stays, which the next append cuts off.
 */
export async function appendRecords(
  fd: number,
  end: RecordLogEnd,
  { bodies, calls }: { bodies: readonly Uint8Array[]; calls: FileCalls },
): Promise<void> {
  if (end.kind === 'torn') calls.truncate(fd, end.offset)
  try {
    writeFully(calls, fd, Buffer.concat(bodies.map(frameRecord)))
    await calls.sync(fd)
  } catch (error) {
    cutBack(fd, end.offset, calls)
    throw error
  }
}

function cutBack(fd: number, size: number, calls: FileCalls): void {
  try {
    calls.truncate(fd, size)
  } catch {
    // The first failure is the one to report, and the next append cuts off what is left.
  }
}

type Window = {
  /** Bytes of the file from `offset` on, as many as are at hand. */
  readonly window: Buffer
  readonly offset: number
  readonly size: number
}

function fillWindow(fd: number, { window, offset, size }: Window): Buffer {
  const left = size - offset
  let filled = window
  if (filled.length < lengthBytes) {
    filled = readAt(fd, offset, Math.min(windowBytes, left))
  }
  const needed = filled.length < lengthBytes ? 0 : frameBytes + filled.readUInt32LE()
  if (needed <= filled.length || needed > frameBytes + maxRecordBytes) return filled
  return readAt(fd, offset, Math.min(needed + windowBytes, left))
}

function frameRecord(body: Uint8Array): Buffer {
  if (body.length === 0 || body.length > maxRecordBytes) {
    throw new RangeError(`a record of ${body.length} bytes`)
  }
  const record = Buffer.allocUnsafe(frameBytes + body.length)
  record.writeUInt32LE(body.length)
  record.set(body, lengthBytes)
  const checked = record.subarray(0, lengthBytes + body.length)
  record.writeUInt32LE(crc32(checked), checked.length)
  return record
}

function findRecord(window: Buffer): Buffer | undefined {
  if (window.length < frameBytes) return undefined
  const length = window.readUInt32LE()
  if (length === 0 || length > maxRecordBytes) return undefined
  if (window.length < frameBytes + length) return undefined
  const checked = window.subarray(0, lengthBytes + length)
  if (window.readUInt32LE(checked.length) !== crc32(checked)) return undefined
  return checked.subarray(lengthBytes)
}

// An append that was cut short leaves a record that runs to or past the end of the file,
// or blocks that were allotted but never filled. Anything else is no trace of one.
function isTorn(fd: number, { window, offset, size }: Window): boolean {
  const left = size - offset
  if (left < frameBytes || window.length < lengthBytes) return true
  const length = window.readUInt32LE()
  if (length > 0 && length <= maxRecordBytes && frameBytes + length >= left) return true
  return isZero(fd, offset, size)
}

function isZero(fd: number, start: number, size: number): boolean {
  for (let offset = start; offset < size; offset += windowBytes) {
    const bytes = readAt(fd, offset, Math.min(windowBytes, size - offset))
    if (bytes.some(byte => byte !== 0)) return false
  }
  return true
}

function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const read = readSync(fd, bytes, filled, length - filled, offset + filled)
    if (read === 0) break
    filled += read
  }
  return bytes.subarray(0, filled)
}
