import { InvalidObjectError, NotRepresentableError } from '../errors.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { escapeBytes } from './escape.js'
import { type EntryKind, findKindOfMode, hasOnlyKnownBits } from './file-mode.js'
import type { Strictness } from './strictness.js'

/** One extended attribute: raw bytes, as the kernel hands them out. */
export type Xattr = { readonly key: Buffer; readonly value: Buffer }

/** What a filesystem entry is, apart from its name and content (format section 2.1). */
export type Header = {
  /** Bits of file-mode.ts, not of st_mode. */
  readonly mode: number
  /** Low 32 bits of Linux st_rdev; 0 for all but devices. */
  readonly rdev: number
  readonly uid: number
  readonly gid: number
  /** In ascending order of key bytes, keys unique. */
  readonly xattrs: readonly Xattr[]
}

/** Payload bytes of a header without extended attributes: the smallest one. */
export const minHeaderBytes = 18

/**
 * Encodes: u32 mode, rdev, uid, gid, u16 count, then LP(key) LP(value) each.
 *
 * Throws NotRepresentableError for what does not fit its field, InvalidObjectError for a
 * header that a strict decoder would refuse.
 */
export function encodeHeader(header: Header): Buffer {
  const { mode, rdev, uid, gid, xattrs } = header
  const writer = new ByteWriter(64)
  writer.u32(mode, 'mode').u32(rdev, 'rdev').u32(uid, 'uid').u32(gid, 'gid')
  if (xattrs.length > 0xffff) {
    throw new NotRepresentableError(
      `too many extended attributes: expected at most 65535, found ${xattrs.length}`,
      { field: 'extended attributes', found: xattrs.length },
    )
  }
  const problem = findModeProblem(header) ?? findXattrsProblem(xattrs, 'strict')
  if (problem !== undefined) {
    throw new InvalidObjectError(`invalid header: ${problem}`, { what: 'header' })
  }
  writer.u16(xattrs.length)
  for (const { key, value } of xattrs) {
    writer.prefixed(key, 'extended attribute key')
    if (value.length > 0xffff) throw valueTooLong(key, value)
    writer.prefixed(value, 'extended attribute value')
  }
  return writer.finish()
}

/**
 * Decodes a header payload; throws InvalidObjectError.
 *
 * Impossible and repeated attribute keys are refused always. Strict, it also refuses
 * unknown mode bits, contradicting types, a device number on what is no device, unsorted
 * attribute keys, and bytes after the end.
 */
export function decodeHeader(payload: Uint8Array, strictness: Strictness): Header {
  const reader = new ByteReader(payload, 'header')
  const mode = reader.u32('mode')
  const rdev = reader.u32('rdev')
  const uid = reader.u32('uid')
  const gid = reader.u32('gid')
  const xattrs = readXattrs(reader)
  const header = { mode, rdev, uid, gid, xattrs }
  if (strictness === 'strict') reader.end()
  const problem =
    findXattrsProblem(xattrs, strictness) ??
    (strictness === 'strict' ? findModeProblem(header) : undefined)
  if (problem !== undefined) throw reader.invalid(problem)
  return header
}

/** The kind of entry that a header describes; throws InvalidObjectError. */
export function kindOfHeader(header: Header): EntryKind {
  const kind = findKindOfMode(header.mode)
  if (kind === undefined) {
    throw new InvalidObjectError(
      `invalid header: mode ${hex(header.mode)} names more than one type`,
      { mode: header.mode },
    )
  }
  return kind
}

function readXattrs(reader: ByteReader): Xattr[] {
  const count = reader.u16('xattr count')
  const xattrs: Xattr[] = []
  for (let index = 0; index < count; index++) {
    const key = reader.prefixed('xattr key')
    xattrs.push({ key, value: reader.prefixed('xattr value') })
  }
  return xattrs
}

function findModeProblem({ mode, rdev }: Header): string | undefined {
  const kind = findKindOfMode(mode)
  if (kind === undefined) return `mode ${hex(mode)} names more than one type`
  if (!hasOnlyKnownBits(mode)) return `unknown bits in mode ${hex(mode)}`
  const isDevice = kind === 'block-device' || kind === 'char-device'
  if (!isDevice && rdev !== 0) return `a ${kind} has no device number: found ${hex(rdev)}`
  return undefined
}

// A key that is empty or holds a NUL would reach the kernel as another one.
function findXattrsProblem(
  xattrs: readonly Xattr[],
  strictness: Strictness,
): string | undefined {
  let isOrdered = true
  let before: Buffer | undefined
  for (const { key } of xattrs) {
    if (key.length === 0 || key.includes(0)) {
      return 'an xattr key is empty or holds a NUL byte'
    }
    if (before !== undefined && Buffer.compare(before, key) >= 0) isOrdered = false
    before = key
  }
  if (isOrdered) return undefined
  if (strictness === 'strict') return 'xattr keys are not in ascending order, each once'
  const keys = new Set(xattrs.map(({ key }) => key.toString('latin1')))
  return keys.size < xattrs.length ? 'an xattr key stands twice' : undefined
}

function valueTooLong(key: Buffer, value: Buffer): NotRepresentableError {
  const shown = escapeBytes(key)
  return new NotRepresentableError(
    `extended attribute ${shown} is too long: expected at most 65535 bytes, found ${value.length}`,
    { field: 'extended attribute', key: shown, found: value.length },
  )
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
