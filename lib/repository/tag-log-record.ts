import { InvalidObjectError } from '../errors.js'
import { ByteReader } from '../object/byte-reader.js'
import { ByteWriter } from '../object/byte-writer.js'
import {
  type Descriptor,
  decodeDescriptor,
  encodeDescriptor,
} from '../object/descriptor.js'

/**
 * Why a tag changed.
 *
 * `external`: another program changed the tag file without a record. `void`: the record
 * before never took effect, because its writer was stopped in between.
 */
export type TagLogKind = 'set' | 'remove' | 'external' | 'void'

/** One change of a tag. */
export type TagLogRecord = {
  /** Counts the changes of one tag from 1 on; goes on after the tag is removed. */
  readonly sequence: bigint
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly time: bigint
  readonly kind: TagLogKind
  /** What the tag named before; undefined when there was no tag. */
  readonly old: Descriptor | undefined
  /** What it named afterwards; undefined when there was no tag. */
  readonly new: Descriptor | undefined
  /** Who made the change, as the caller says; may be empty. */
  readonly who: string
  readonly message: string
  /** Reserved for signed changes; empty. */
  readonly signature: Buffer
}

const recordVersion = 1

const kindBytes: Readonly<Record<TagLogKind, number>> = {
  set: 1,
  remove: 2,
  external: 3,
  void: 4,
}

/**
 * Encodes the body of a record (record-log.ts puts its length in front and its CRC-32
 * behind): u8 version 1, u64 sequence, i64 nanoseconds, u8 kind (1 set, 2 remove,
 * 3 external, 4 void), LP(old descriptor), LP(new descriptor), LP(who), LP(message),
 * LP(signature).
 *
 * An absent descriptor is LP of nothing; texts are UTF-8; integers little-endian. A text
 * above 65535 bytes throws NotRepresentableError.
 */
export function encodeTagLogRecord(record: TagLogRecord): Buffer {
  return new ByteWriter()
    .u8(recordVersion)
    .u64(record.sequence, 'sequence')
    .u64(BigInt.asUintN(64, record.time), 'time')
    .u8(kindBytes[record.kind])
    .prefixed(encodeOptional(record.old), 'old descriptor')
    .prefixed(encodeOptional(record.new), 'new descriptor')
    .prefixed(Buffer.from(record.who), 'who')
    .prefixed(Buffer.from(record.message), 'message')
    .prefixed(record.signature, 'signature')
    .finish()
}

/** Decodes the body of a record; throws InvalidObjectError. */
export function decodeTagLogRecord(body: Uint8Array): TagLogRecord {
  const reader = new ByteReader(body, 'tag log record')
  const version = reader.u8('version')
  if (version !== recordVersion) {
    throw reader.invalid(`unknown version: expected ${recordVersion}, found ${version}`)
  }
  const record = {
    sequence: reader.u64('sequence'),
    time: BigInt.asIntN(64, reader.u64('time')),
    kind: parseKind(reader.u8('kind')),
    old: decodeOptional(reader.prefixed('old descriptor')),
    new: decodeOptional(reader.prefixed('new descriptor')),
    who: reader.prefixed('who').toString('utf8'),
    message: reader.prefixed('message').toString('utf8'),
    signature: Buffer.from(reader.prefixed('signature')),
  }
  reader.end()
  return record
}

function parseKind(byte: number): TagLogKind {
  for (const kind of ['set', 'remove', 'external', 'void'] as const) {
    if (kindBytes[kind] === byte) return kind
  }
  throw new InvalidObjectError(`unknown kind of tag log record: found ${byte}`, {
    found: byte,
  })
}

function encodeOptional(descriptor: Descriptor | undefined): Buffer {
  return descriptor === undefined ? Buffer.alloc(0) : encodeDescriptor(descriptor)
}

function decodeOptional(bytes: Buffer): Descriptor | undefined {
  return bytes.length === 0 ? undefined : decodeDescriptor(bytes)
}
