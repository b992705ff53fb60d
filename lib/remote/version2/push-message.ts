import type { CborValue } from '../../object/canonical-cbor.js'
import { type Descriptor, encodeDescriptor } from '../../object/descriptor.js'
import { type Digest, digestBytes } from '../../object/digest.js'
import { parseTagName, type TagName } from '../../object/tag-name.js'
import { Bitmap } from '../../store/bitmap.js'
import { HeadValues } from './head-values.js'
import { type HeadMembers, invalidTransfer } from './transfer-head.js'

/** Bounds of the requests of a push. */
export const pushLimits = {
  /** Digests in one question which of them are missing. */
  queryDigests: 50_000,
  /** Roots of the client's that the server may have. */
  candidates: 256,
  /** Bytes of a request to open an upload, and of its answer. */
  openBytes: 64 * 1024,
} as const

/** Which tag a push sets, and what it must have named before. */
export type TagMove = {
  readonly name: TagName
  /** Without it, the tag may have named anything. */
  readonly expected?: Digest | 'absent'
}

/** What stands in front of the last pack of a push. */
export type PushHead = { readonly root: Descriptor; readonly tag?: TagMove }

/*
 * Head of a push, deterministic CBOR: 1 root: descriptor; 2 tag: text; 3 expected: digest,
 * empty for "no such tag". Keys 2 and 3 may be left out.
 */
export function pushHeadMembers({ root, tag }: PushHead): HeadMembers {
  const members: [number, CborValue][] = [[1, encodeDescriptor(root)]]
  if (tag !== undefined) {
    members.push([2, tag.name])
    const { expected } = tag
    if (expected !== undefined) {
      members.push([3, expected === 'absent' ? Buffer.alloc(0) : digestBytes(expected)])
    }
  }
  return new Map(members)
}

/** Decodes the head of a push; throws InvalidObjectError, InvalidTagNameError. */
export function decodePushHead(members: HeadMembers, where: string): PushHead {
  const values = new HeadValues(members, where)
  const root = values.bytes(1)
  const name = values.text(2)
  const expected = values.bytes(3)
  values.end()
  if (root === undefined) throw invalidTransfer(where, 'it names no root')
  if (expected !== undefined && name === undefined) {
    throw invalidTransfer(where, 'it expects something of no tag')
  }
  return {
    root: values.asDescriptor(root, 1),
    ...(name !== undefined && {
      tag: {
        name: parseTagName(name),
        ...(expected !== undefined && {
          expected: expected.length === 0 ? 'absent' : values.asDigest(expected, 3),
        }),
      },
    }),
  }
}

/** Packs bits into bytes, least first. */
export function encodeBits(bits: Bitmap): Buffer {
  const bytes = Buffer.alloc(Math.ceil(bits.length / 8))
  for (let index = 0; index < bits.length; index += 1) {
    if (bits.get(index))
      bytes[index >>> 3] = (bytes[index >>> 3] ?? 0) | (1 << (index & 7))
  }
  return bytes
}

/** Unpacks `length` bits; throws InvalidObjectError. */
export function decodeBits(bytes: Uint8Array, length: number): Bitmap {
  if (bytes.length !== Math.ceil(length / 8)) {
    throw invalidTransfer(
      'answer',
      `expected ${length} bits, found ${bytes.length} bytes`,
    )
  }
  const bits = new Bitmap(length)
  for (let index = 0; index < length; index += 1) {
    if (((bytes[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0) bits.set(index)
  }
  return bits
}
