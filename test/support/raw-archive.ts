import { encodePaxRecord } from '../../lib/tree/tar/pax-records.js'
import type { TarEntry } from '../../lib/tree/tar/tar-entry.js'
import { blockBytes, paddingOf } from '../../lib/tree/tar/tar-format.js'
import { checksumOf } from '../../lib/tree/tar/tar-header.js'
import { encodeTarEntry, endOfArchive } from '../../lib/tree/tar/tar-writer.js'

/** An entry with what most entries have. */
export function tarEntry(
  path: string | Buffer,
  kind: TarEntry['kind'],
  facts: Partial<Omit<TarEntry, 'target'>> & { readonly target?: string | Buffer } = {},
): TarEntry {
  const { target = '', ...others } = facts
  return {
    path: Buffer.from(path),
    kind,
    permissions: kind === 'directory' ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    rdev: 0,
    size: 0,
    time: { seconds: 1_000_000_000n, nanoseconds: 0 },
    xattrs: [],
    ...others,
    target: Buffer.from(target),
  }
}

/** The bytes of one entry, its content and padding included. */
export function member(
  path: string | Buffer,
  kind: TarEntry['kind'],
  facts: Parameters<typeof tarEntry>[2] & { readonly content?: string | Buffer } = {},
): Buffer {
  const { content = '', ...others } = facts
  const bytes = Buffer.from(content)
  const entry = tarEntry(path, kind, { size: bytes.length, ...others })
  return Buffer.concat([encodeTarEntry(entry), padded(bytes)])
}

/** An archive of these entries. */
export function archive(...members: readonly Buffer[]): Buffer {
  return Buffer.concat([...members, endOfArchive])
}

/** A header block in which some bytes are others; the checksum is right again. */
export function forged(
  block: Buffer,
  changes: Readonly<Record<number, string | Buffer>>,
): Buffer {
  const copy = Buffer.from(block)
  for (const [at, bytes] of Object.entries(changes)) {
    Buffer.from(bytes as string, 'latin1').copy(copy, Number(at))
  }
  copy.write(`${checksumOf(copy).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return copy
}

/** A header of any type with content behind it. */
export function extension(type: string, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content)
  const block = encodeTarEntry(tarEntry('extension', 'regular', { size: bytes.length }))
  return Buffer.concat([forged(block, { 156: type }), padded(bytes)])
}

/** A PAX header of these records. */
export function pax(records: readonly (readonly [string, string | Buffer])[]): Buffer {
  return extension(
    'x',
    Buffer.concat(records.map(([key, value]) => encodePaxRecord(key, value))),
  )
}

/** Bytes in pieces of a size. */
export async function* pieces(bytes: Buffer, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(paddingOf(bytes.length))])
}

/** Bytes of a header block. */
export const headerBytes = blockBytes
