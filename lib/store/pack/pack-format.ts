import type { Digest } from '../../object/digest.js'
import type { ObjectType } from '../../object/object-type.js'

/** How a stored payload is coded. `raw`: as it is. `zstd`: frames, see zstd-frames.ts. */
export type Codec = 'raw' | 'zstd'

/** What a pack says of one object. */
export type PackRecord = {
  readonly digest: Digest
  readonly type: ObjectType
  readonly codec: Codec
  /** Plain payload bytes. */
  readonly size: number
  /** Bytes in the pack: equal to `size` for raw payloads. */
  readonly storedSize: number
  /** CRC-32 of the stored bytes; 0 for raw payloads, whose digest is their checksum. */
  readonly crc: number
}

/** What a record tells beside the digest. */
export type RecordFields = Omit<PackRecord, 'digest'>

/** Where in a pack file a record's stored bytes lie. */
export type PackPlace = PackRecord & { readonly offset: number }

/** Where stored bytes can be read from: a pack. */
export interface PlaceReader {
  readonly path: string
  /** Throws CorruptObjectError where the file is shorter. */
  readPlace(place: PackPlace, offset: number, length: number): Buffer
  /** Keeps the file open until what is returned is disposed. */
  use(): Disposable
}

/** An object, and what it can be read from. */
export type PlacedObject = { readonly pack: PlaceReader; readonly place: PackPlace }

/** First bytes of a pack: the format's name and version. */
export const packMagic = Buffer.from('cairnpk1')

/** Last bytes of a sealed pack. */
export const trailerMagic = Buffer.from('cairnix1')

/** Bytes in front of the first segment: magic, u32 flags, u32 zero. */
export const packHeaderBytes = 16

/** Pack header flag: payloads of raw files from 16 KiB on are aligned to 4096 bytes. */
export const alignedFlag = 1

/** Raw file payloads of at least this size start at a multiple of `alignment` on disk. */
export const alignedFrom = 16 * 1024

/** Bytes of the unit that aligned payloads start at and are filled up to. */
export const alignment = 4096

/** Bytes of payload that a segment gathers, unless one object alone is larger. */
export const segmentBytes = 8 * 1024 * 1024

/** Plain bytes of one zstd frame; the last one of a payload may be shorter. */
export const frameBytes = 1024 * 1024

/** Records of one segment: bounds the memory that its table can claim. */
export const maxSegmentRecords = 131_072

/** Largest size and offset that a pack can tell: its tables have 48 bits for them. */
export const maxPackBytes = 2 ** 48 - 1

/** Bytes at which a pack is full; the segment that passes them is still written. */
export const fullPackBytes = 1024 * 1024 * 1024

/** Objects at which a pack is full: bounds the memory of writing its trailer. */
export const fullPackObjects = 2 ** 18

/** Plain bytes of the largest coded payload: bounds the table of its frames to 4 MiB. */
export const maxCodedBytes = 2 ** 40

/** A record's codecs, in order of their numbers. */
export const codecs: readonly Codec[] = ['raw', 'zstd']

/** Whether a record's payload stands aligned, behind all that do not. */
export function isAligned(record: RecordFields): boolean {
  return record.type === 'file' && record.codec === 'raw' && record.size >= alignedFrom
}

/** The next multiple of `alignment`. */
export function alignUp(offset: number): number {
  return Math.ceil(offset / alignment) * alignment
}
