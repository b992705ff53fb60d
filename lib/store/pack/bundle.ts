import { InvalidObjectError } from '../../errors.js'
import { type CborValue, decodeCbor, encodeCbor } from '../../object/canonical-cbor.js'
import {
  type Descriptor,
  decodeDescriptor,
  encodeDescriptor,
} from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { findTagName, type TagName } from '../../object/tag-name.js'
import { frameHead, type HeadFrame, takeFramedHead } from './framed-head.js'
import {
  type PackStreamOptions,
  readPackFrom,
  type StreamedPart,
} from './pack-stream-reader.js'
import { type StreamSource, writePackStream } from './pack-stream-writer.js'
import { StreamBytes } from './stream-bytes.js'

/*
 * A bundle: a pack for somebody who is not connected.
 *
 *   8 bytes magic, u32 length of the head, head, u32 CRC-32 of all before
 *   head: canonical CBOR map {1: roots, 2: tags}; roots: array of descriptors, each a byte
 *         string (docs/format.md); tags: array of [name, index of a root], ascending by
 *         name, left out when there is none
 *   an unpadded pack stream that holds the closure of every root, children first
 */

const frame: HeadFrame = {
  magic: Buffer.from('cairnbd1'),
  // Some 100,000 roots and tags.
  maxBytes: 16 * 1024 * 1024,
  name: 'bundle',
}

/** What a bundle says of itself. */
export type BundleHead = {
  /** Objects whose whole closure the bundle holds. */
  readonly roots: readonly Descriptor[]
  readonly tags: readonly { readonly name: TagName; readonly root: number }[]
}

/** Writes a bundle of objects that `digests` names children first. */
export async function* writeBundle(
  head: BundleHead,
  digests: AsyncIterable<readonly Digest[]> | Iterable<readonly Digest[]>,
  source: StreamSource,
): AsyncGenerator<Uint8Array> {
  yield encodeBundleHead(head)
  yield* writePackStream(digests, source)
}

/** A bundle being read: its head, then its objects. */
export type BundleReader = {
  readonly head: BundleHead
  readonly parts: AsyncGenerator<StreamedPart>
}

/** Reads a bundle; throws as readPackStream. Its closure is the receiver's to check. */
export async function readBundle(
  source: AsyncIterable<Uint8Array>,
  options: PackStreamOptions,
): Promise<BundleReader> {
  const bytes = new StreamBytes(source, options.where)
  try {
    const head = await takeHead(bytes, options.where)
    return { head, parts: readParts(bytes, options) }
  } catch (error) {
    await bytes.close()
    throw error
  }
}

async function* readParts(
  bytes: StreamBytes,
  options: PackStreamOptions,
): AsyncGenerator<StreamedPart> {
  try {
    yield* readPackFrom(bytes, options)
  } finally {
    await bytes.close()
  }
}

async function takeHead(bytes: StreamBytes, where: string): Promise<BundleHead> {
  const head = await takeFramedHead(bytes, frame, problem => invalid(where, problem))
  return decodeBundleHead(head, where)
}

/** Encodes everything in front of the pack stream. */
export function encodeBundleHead({ roots, tags }: BundleHead): Buffer {
  const members = new Map<number, CborValue>([
    [1, roots.map(root => encodeDescriptor(root))],
  ])
  const byName = tags.toSorted((one, other) => (one.name < other.name ? -1 : 1))
  if (tags.length > 0)
    members.set(
      2,
      byName.map(({ name, root }) => [name, root]),
    )
  return frameHead(frame, encodeCbor(members))
}

function decodeBundleHead(bytes: Buffer, where: string): BundleHead {
  const head = decodeCbor(bytes)
  const roots = head instanceof Map ? head.get(1) : undefined
  const tags = head instanceof Map ? head.get(2) : undefined
  const members = head instanceof Map ? head.size : 0
  if (!Array.isArray(roots) || members !== (tags === undefined ? 1 : 2)) {
    throw invalid(where, 'its head is no map of roots and tags')
  }
  return {
    roots: roots.map(root => {
      if (root instanceof Uint8Array) return decodeDescriptor(root)
      throw invalid(where, 'a root is no byte string')
    }),
    tags: tags === undefined ? [] : decodeTags(tags, roots.length, where),
  }
}

function decodeTags(value: unknown, roots: number, where: string): BundleHead['tags'] {
  if (!Array.isArray(value) || value.length === 0) throw invalid(where, 'no row of tags')
  let before = ''
  return value.map((tag: unknown) => {
    const [text, root] = Array.isArray(tag) && tag.length === 2 ? (tag as unknown[]) : []
    const name = typeof text === 'string' ? findTagName(text) : undefined
    if (name === undefined || name <= before) {
      throw invalid(where, 'tags are not named in ascending order')
    }
    if (typeof root !== 'number' || root < 0 || root >= roots) {
      throw invalid(where, `tag ${name} names no root`)
    }
    before = name
    return { name, root }
  })
}

function invalid(where: string, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid bundle ${where}: ${problem}`, { where })
}
