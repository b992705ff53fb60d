import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { type Descriptor, readDescriptor, writeDescriptor } from './descriptor.js'
import { findDigest } from './digest.js'
import { escapeBytes } from './escape.js'
import { runAtOnce, type Steps } from './in-steps.js'
import { findTagName, maxTagNameLength, type TagName } from './tag-name.js'

/** A tag and what it names. */
export type Tag = { readonly name: TagName; readonly descriptor: Descriptor }

// u32 length, one name byte, and a descriptor with the shortest digest.
const minTagBytes = 4 + 1 + 2 + 29 + 8 + 1 + 4 + 8

const tagsInStep = 2048

/** Encodes a tag list in byte order of names (format section 2.7). */
export function encodeTagList(tags: readonly Tag[]): Buffer {
  return runAtOnce(encodeTagListInSteps(tags))
}

/** As encodeTagList, in steps: a list may have tens of thousands. */
export function* encodeTagListInSteps(tags: readonly Tag[]): Steps<Buffer> {
  // Names are ASCII, so their order as strings is that of their bytes.
  const sorted = tags.toSorted((one, other) => (one.name < other.name ? -1 : 1))
  const writer = new ByteWriter(4 + sorted.length * 80).u32(sorted.length, 'tag count')
  for (const [index, { name, descriptor }] of sorted.entries()) {
    if (index % tagsInStep === tagsInStep - 1) yield
    writer.u32(name.length, 'name length').bytes(Buffer.from(name))
    writeDescriptor(writer, descriptor)
  }
  return writer.finish()
}

/**
 * Decodes a tag list in any order, names valid and each once; throws InvalidObjectError.
 *
 * A tag that only this program refuses, because its name is a full digest, is passed over:
 * a version 1 peer may have one.
 */
export function decodeTagList(bytes: Uint8Array): Tag[] {
  const reader = new ByteReader(bytes, 'tag list')
  const count = reader.u32('tag count')
  if (count * minTagBytes > reader.left) {
    throw reader.invalid(`${count} tags take more bytes than the ${reader.left} found`)
  }
  const tags: Tag[] = []
  const seen = new Set<string>()
  for (let index = 0; index < count; index++) {
    const text = readName(reader)
    if (seen.has(text)) throw reader.invalid(`tag "${text}" stands twice`)
    seen.add(text)
    const descriptor = readDescriptor(reader)
    const name = findTagName(text)
    if (name !== undefined) tags.push({ name, descriptor })
  }
  reader.end()
  return tags
}

function readName(reader: ByteReader): string {
  const length = reader.u32('name length')
  if (length > maxTagNameLength) {
    throw reader.invalid(
      `a tag name of ${length} bytes: expected at most ${maxTagNameLength}`,
    )
  }
  const bytes = reader.bytes(length, 'tag name')
  const text = bytes.toString('latin1')
  if (findTagName(text) === undefined && findDigest(text) === undefined) {
    throw reader.invalid(`invalid tag name "${escapeBytes(bytes)}"`)
  }
  return text
}
