import { crc32 } from 'node:zlib'
import { type Digest, digestBytes, findDigestBytes } from '../../../object/digest.js'

/**
 * A span of a filesystem's clock in nanoseconds since 1970, in which a checkout, and by
 * all that can be told nobody else, changed a folder: from `start` on, before `end`.
 */
export type ClockSpan = { readonly start: bigint; readonly end: bigint }

/** What is remembered of a folder that a tree was checked out to. */
export type CheckoutRecord = {
  readonly application: Digest
  /** Path of what was checked out inside the application; empty for all of it. */
  readonly path: Buffer
  /** The folder, without links. */
  readonly folder: string
  /** Filesystem and inode of the folder: they tell one that was replaced. */
  readonly identity: string
  /** How it was checked out, as far as it shows: owner rules, one time for everything. */
  readonly manner: string
  /** When it was checked out and updated; ascending, the last ones only. */
  readonly spans: readonly ClockSpan[]
}

/*
 * A record's file: 8 bytes magic; digest, path, folder, identity, manner, each behind a u16
 * length; u16 count of spans, i64 start and i64 end of each; u32 CRC-32 of all before.
 */
const magic = Buffer.from('cairnck1')
const maxSpans = 256

/** Bytes of the largest record. */
export const maxRecordBytes = magic.length + 5 * (2 + 0xffff) + 2 + 16 * maxSpans + 4

/** Encodes a record; undefined for one whose paths are too long to be remembered. */
export function encodeRecord(record: CheckoutRecord): Buffer | undefined {
  const { application, path, folder, identity, manner } = record
  const texts = [digestBytes(application), path, folder, identity, manner]
  const parts: Buffer[] = [magic]
  for (const text of texts) {
    const bytes = Buffer.from(text)
    if (bytes.length > 0xffff) return undefined
    parts.push(u16(bytes.length), bytes)
  }
  const spans = record.spans.slice(-maxSpans)
  parts.push(u16(spans.length))
  for (const { start, end } of spans) {
    const span = Buffer.alloc(16)
    span.writeBigInt64LE(start, 0)
    span.writeBigInt64LE(end, 8)
    parts.push(span)
  }
  const bytes = Buffer.concat(parts)
  const check = Buffer.alloc(4)
  check.writeUInt32LE(crc32(bytes))
  return Buffer.concat([bytes, check])
}

/** Decodes a record; undefined for anything else: it is derived, and can be done without. */
export function findRecord(bytes: Buffer): CheckoutRecord | undefined {
  const end = bytes.length - 4
  if (end < magic.length || !bytes.subarray(0, magic.length).equals(magic))
    return undefined
  if (bytes.readUInt32LE(end) !== crc32(bytes.subarray(0, end))) return undefined
  let at = magic.length
  const texts: Buffer[] = []
  while (texts.length < 5) {
    if (at + 2 > end) return undefined
    const length = bytes.readUInt16LE(at)
    at += 2
    if (at + length > end) return undefined
    texts.push(bytes.subarray(at, at + length))
    at += length
  }
  if (at + 2 > end || at + 2 + 16 * bytes.readUInt16LE(at) !== end) return undefined
  const spans: ClockSpan[] = []
  for (at += 2; at < end; at += 16) {
    spans.push({ start: bytes.readBigInt64LE(at), end: bytes.readBigInt64LE(at + 8) })
  }
  const [digest, path, folder, identity, manner] = texts
  const application = digest && findDigestBytes(digest)
  if (!application || !path || !folder || !identity || !manner) return undefined
  return {
    application,
    path,
    folder: String(folder),
    identity: String(identity),
    manner: String(manner),
    spans,
  }
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}
