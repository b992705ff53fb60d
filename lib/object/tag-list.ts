import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { type Descriptor, readDescriptor, writeDescriptor } from './descriptor.js'
import { escapeBytes } from './escape.js'
import { findTagName, maxTagNameLength, type TagName } from './tag-name.js'

/** A tag and what it names. */
export type Tag = { readonly name: TagName; readonly descriptor: Descriptor }

// u32 length, one name byte, and a descriptor with the shortest digest.
const minTagBytes = 4 + 1 + 2 + 29 + 8 + 1 + 4 + 8

/** Encodes a tag list in byte order of names (format section 2.7). */
export function encodeTagList(tags: readonly Tag[]): Buffer {
  const sorted = tags.toSorted((one, other) =>
    Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)),
  )
  const writer = new ByteWriter(4 + sorted.length * 80).u32(sorted.length, 'tag count')
  for (const { name, descriptor } of sorted) {
    writer.u32(name.length, 'name length').bytes(Buffer.from(name))
    writeDescriptor(writer, descriptor)
  }
  return writer.finish()
}

/** Decodes a tag list in any order, names valid and each once; throws InvalidObjectError. */
export function decodeTagList(bytes: Uint8Array): Tag[] {
  const reader = new ByteReader(bytes, 'tag list')
  const count = reader.u32('tag count')
  if (count * minTagBytes > reader.left) {
    throw reader.invalid(`${count} tags take more bytes than the ${reader.left} found`)
  }
  const tags = new Map<TagName, Tag>()
  for (let index = 0; index < count; index++) {
    const name = readName(reader)
    if (tags.has(name)) throw reader.invalid(`tag "${name}" stands twice`)
    tags.set(name, { name, descriptor: readDescriptor(reader) })
  }
  reader.end()
  return [...tags.values()]
}

function readName(reader: ByteReader): TagName {
  const length = reader.u32('name length')
  if (length > maxTagNameLength) {
    throw reader.invalid(
      `a tag name of ${length} bytes: expected at most ${maxTagNameLength}`,
    )
  }
  const bytes = reader.bytes(length, 'tag name')
  const name = findTagName(bytes.toString('latin1'))
  if (name === undefined) throw reader.invalid(`invalid tag name "${escapeBytes(bytes)}"`)
  return name
}
