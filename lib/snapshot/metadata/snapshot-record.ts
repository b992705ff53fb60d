import { InvalidObjectError } from '../../errors.js'
import { ByteReader } from '../../object/byte-reader.js'
import { ByteWriter } from '../../object/byte-writer.js'
import { digestBytes, parseDigestBytes } from '../../object/digest.js'
import type { Labels, SnapshotKind } from '../snapshot.js'
import { parseSnapshotKey, snapshotKeyBytes } from '../snapshot-key.js'
import type { SnapshotChange, SnapshotRow, SnapshotSource } from './snapshot-row.js'

const recordVersion = 1

const changeBytes = { put: 1, remove: 2, usage: 3, ids: 4, load: 5 } as const
const kindBytes: Readonly<Record<SnapshotKind, number>> = {
  view: 1,
  active: 2,
  committed: 3,
}

/**
 * Encodes the body of a record (record-log.ts frames it): u8 version 1, u8 change, then
 *
 * - 1 put: u64 id, u8 kind (1 view, 2 active, 3 committed), u64 id of the parent or 0,
 *   i64 created, i64 updated, LP(key), u32 number of labels, each LP(key), u32 length and
 *   value;
 * - 2 remove: u64 id;
 * - 3 usage: u64 id, u64 bytes, u64 inodes;
 * - 4 ids: u64 the highest id given out;
 * - 5 load, a put of a snapshot made from an application: u64 id of its layer's folder,
 *   LP(digest), then as put.
 *
 * Times are nanoseconds since 1970, texts UTF-8, integers little-endian, LP is a u16
 * length in front.
 */
export function encodeSnapshotChange(change: SnapshotChange): Buffer {
  const isLoad = change.kind === 'put' && change.row.source !== undefined
  const byte = isLoad ? changeBytes.load : changeBytes[change.kind]
  const writer = new ByteWriter().u8(recordVersion).u8(byte)
  switch (change.kind) {
    case 'put':
      writeSource(writer, change.row)
      writeRow(writer, change.row)
      break
    case 'remove':
      writer.size(change.id, 'id')
      break
    case 'usage':
      writer
        .size(change.id, 'id')
        .size(change.usage.size, 'size')
        .size(change.usage.inodes, 'inodes')
      break
    case 'ids':
      writer.size(change.last, 'last id')
      break
    default:
      change satisfies never
  }
  return writer.finish()
}

/** Decodes the body of a record; throws InvalidObjectError. */
export function decodeSnapshotChange(body: Uint8Array): SnapshotChange {
  const reader = new ByteReader(body, 'snapshot record')
  const version = reader.u8('version')
  if (version !== recordVersion) {
    throw reader.invalid(`unknown version: expected ${recordVersion}, found ${version}`)
  }
  const change = readChange(reader, reader.u8('change'))
  reader.end()
  return change
}

function readChange(reader: ByteReader, change: number): SnapshotChange {
  switch (change) {
    case changeBytes.put:
      return { kind: 'put', row: readRow(reader) }
    case changeBytes.load: {
      const source = readSource(reader)
      return { kind: 'put', row: { ...readRow(reader), source } }
    }
    case changeBytes.remove:
      return { kind: 'remove', id: reader.size('id') }
    case changeBytes.usage: {
      const id = reader.size('id')
      const size = reader.size('size')
      return { kind: 'usage', id, usage: { size, inodes: reader.size('inodes') } }
    }
    case changeBytes.ids:
      return { kind: 'ids', last: reader.size('last id') }
    default:
      throw reader.invalid(`unknown change: found ${change}`)
  }
}

function writeSource(writer: ByteWriter, { source }: SnapshotRow): void {
  if (source === undefined) return
  writer
    .size(source.layer, 'layer')
    .prefixed(digestBytes(source.application), 'application')
}

function readSource(reader: ByteReader): SnapshotSource {
  const layer = reader.size('layer')
  return { layer, application: parseDigestBytes(reader.prefixed('application')) }
}

function writeRow(writer: ByteWriter, row: SnapshotRow): void {
  writer
    .size(row.id, 'id')
    .u8(kindBytes[row.kind])
    .size(row.parent, 'parent')
    .u64(BigInt.asUintN(64, row.created), 'created')
    .u64(BigInt.asUintN(64, row.updated), 'updated')
    .prefixed(snapshotKeyBytes(row.key), 'key')
    .u32(row.labels.size, 'number of labels')
  for (const [key, value] of row.labels) {
    const bytes = Buffer.from(value)
    writer
      .prefixed(Buffer.from(key), 'label')
      .u32(bytes.length, 'label length')
      .bytes(bytes)
  }
}

function readRow(reader: ByteReader): SnapshotRow {
  return {
    id: reader.size('id'),
    kind: parseKind(reader.u8('kind')),
    parent: reader.size('parent'),
    created: BigInt.asIntN(64, reader.u64('created')),
    updated: BigInt.asIntN(64, reader.u64('updated')),
    key: parseSnapshotKey(reader.prefixed('key')),
    labels: readLabels(reader),
  }
}

function readLabels(reader: ByteReader): Labels {
  const labels = new Map<string, string>()
  for (let left = reader.u32('number of labels'); left > 0; left--) {
    const key = reader.prefixed('label').toString()
    labels.set(key, reader.bytes(reader.u32('label length'), 'label value').toString())
  }
  return labels
}

function parseKind(byte: number): SnapshotKind {
  for (const kind of ['view', 'active', 'committed'] as const) {
    if (kindBytes[kind] === byte) return kind
  }
  throw new InvalidObjectError(`unknown kind of snapshot: found ${byte}`, { found: byte })
}
