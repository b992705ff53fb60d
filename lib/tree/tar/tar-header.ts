import { type ArchivePlace, invalidArchive } from './archive-error.js'
import { blockBytes, type Field, fields, magics, type TarMagic } from './tar-format.js'
import { findTarNumber } from './tar-number.js'

/** The fields of one header block, before extended headers are held against them. */
export type TarHeader = {
  readonly block: Buffer
  readonly magic: TarMagic
  /** Prefix and name together. */
  readonly path: Buffer
  readonly type: string
  readonly target: Buffer
  readonly size: number
}

/** Names of fields that hold numbers. */
export type NumberField = 'mode' | 'uid' | 'gid' | 'size' | 'time' | 'major' | 'minor'

/** Whether a block is all zeros: the end of an archive. */
export function isZeroBlock(block: Buffer): boolean {
  if (block[0] !== 0) return false
  return block.equals(zeroBlock)
}

const zeroBlock = Buffer.alloc(blockBytes)

/** Decodes a header block; throws InvalidArchiveError with the field and what it holds. */
export function decodeTarHeader(block: Buffer, place: ArchivePlace): TarHeader {
  checkChecksum(block, place)
  const magic = magicOf(block, place)
  const name = textField(block, fields.name)
  // GNU headers have times and sparse maps where ustar has the prefix.
  const prefix = magic === 'ustar' ? textField(block, fields.prefix) : noBytes
  const path = prefix.length === 0 ? name : Buffer.concat([prefix, slash, name])
  return {
    block,
    magic,
    path,
    type: String.fromCharCode(block[fields.type[0]] ?? 0),
    target: textField(block, fields.target),
    size: numberField(block, 'size', { ...place, path }),
  }
}

/** Reads a numeric field of a header block; throws InvalidArchiveError. */
export function numberField(
  block: Buffer,
  name: NumberField,
  place: ArchivePlace,
): number {
  const [offset, length] = fields[name]
  const value = findTarNumber(block.subarray(offset, offset + length))
  if (value === undefined) {
    throw invalidArchive(place, `impossible ${name}`, {
      expected: 'an octal or base-256 number',
      found: JSON.stringify(block.toString('latin1', offset, offset + length)),
    })
  }
  if (value < 0 && name !== 'time') {
    throw invalidArchive(place, `negative ${name}`, { found: value })
  }
  return value
}

/** The sum of all bytes of a header block, the checksum itself taken as blanks. */
export function checksumOf(block: Buffer): number {
  const [start, length] = fields.checksum
  let sum = length * 0x20
  for (let at = 0; at < blockBytes; at++) {
    if (at < start || at >= start + length) sum += block[at] ?? 0
  }
  return sum
}

const noBytes = Buffer.alloc(0)
const slash = Buffer.from('/')

function checkChecksum(block: Buffer, place: ArchivePlace): void {
  const [start, length] = fields.checksum
  const told = findTarNumber(block.subarray(start, start + length))
  const sum = checksumOf(block)
  if (told === sum || told === signedChecksumOf(block)) return
  throw invalidArchive(place, 'wrong checksum of a header', {
    expected: sum.toString(8),
    found: told === undefined ? 'no number' : told.toString(8),
  })
}

// Some old programs added the bytes up as signed ones.
function signedChecksumOf(block: Buffer): number {
  const [start, length] = fields.checksum
  let sum = length * 0x20
  for (let at = 0; at < blockBytes; at++) {
    if (at < start || at >= start + length) sum += block.readInt8(at)
  }
  return sum
}

function magicOf(block: Buffer, place: ArchivePlace): TarMagic {
  const [offset, length] = fields.magic
  const found = block.subarray(offset, offset + length)
  if (found.equals(magics.gnu)) return 'gnu'
  // Some programs leave the version out.
  if (found.subarray(0, 6).equals(magics.ustar.subarray(0, 6))) return 'ustar'
  if (found.every(byte => byte === 0)) return 'v7'
  throw invalidArchive(place, 'unknown format of a header', {
    expected: 'ustar, GNU or version 7',
    found: JSON.stringify(found.toString('latin1')),
  })
}

function textField(block: Buffer, [offset, length]: Field): Buffer {
  const field = block.subarray(offset, offset + length)
  const end = field.indexOf(0)
  return Buffer.from(end < 0 ? field : field.subarray(0, end))
}
