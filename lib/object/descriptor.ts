import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import type { Digest } from './digest.js'
import { type ObjectType, objectTypeByte, parseObjectType } from './object-type.js'

/** Names an object that another object refers to. */
export type ObjectLink = {
  readonly digest: Digest
  /** Bytes of the payload, without the type byte. */
  readonly size: number
}

/** What lies below a directory or an application, by reference (format section 2.3). */
export type SubObjectTotals = {
  /** References, not distinct objects. At most 2^32-1. */
  readonly subObjectCount: number
  /** Payload bytes of all those references. At most 2^64-1. */
  readonly subObjectsSize: bigint
}

/** Describes an object: everything a peer or a tag file says of it (format section 2.5). */
export type Descriptor = ObjectLink & SubObjectTotals & { readonly type: ObjectType }

/** Bytes of the longest descriptor: length, 65 digest bytes, size, type, totals. */
export const maxDescriptorBytes = 2 + 65 + 8 + 1 + 4 + 8

/** The totals of an object that has nothing below it. */
export const noSubObjects: SubObjectTotals = { subObjectCount: 0, subObjectsSize: 0n }

/** Encodes: LP(digest) u64 size, u8 type, u32 sub-object count, u64 sub-objects size. */
export function encodeDescriptor(descriptor: Descriptor): Buffer {
  const writer = new ByteWriter(maxDescriptorBytes)
  writeDescriptor(writer, descriptor)
  return writer.finish()
}

/** Appends an encoded descriptor. */
export function writeDescriptor(writer: ByteWriter, descriptor: Descriptor): void {
  writer
    .digest(descriptor.digest)
    .size(descriptor.size, 'object size')
    .u8(objectTypeByte(descriptor.type))
    .u32(descriptor.subObjectCount, 'sub-object count')
    .u64(descriptor.subObjectsSize, 'sub-objects size')
}

/** Decodes bytes that hold exactly one descriptor; throws InvalidObjectError. */
export function decodeDescriptor(bytes: Uint8Array): Descriptor {
  const reader = new ByteReader(bytes, 'descriptor')
  const descriptor = readDescriptor(reader)
  reader.end()
  return descriptor
}

/**
 * Reads one descriptor; throws InvalidObjectError.
 *
 * Files and headers must have no sub-objects.
 */
export function readDescriptor(reader: ByteReader): Descriptor {
  const digest = reader.digest('digest')
  const size = reader.size('object size')
  const type = parseObjectType(reader.u8('object type'))
  const subObjectCount = reader.u32('sub-object count')
  const subObjectsSize = reader.u64('sub-objects size')
  if (
    (type === 'file' || type === 'header') &&
    (subObjectCount > 0 || subObjectsSize > 0n)
  ) {
    throw reader.invalid(
      `a ${type} has no sub-objects: found a count of ${subObjectCount}`,
    )
  }
  return { digest, size, type, subObjectCount, subObjectsSize }
}

/** The descriptor of a file or header: an object without sub-objects. */
export function leafDescriptor(type: 'file' | 'header', link: ObjectLink): Descriptor {
  const { digest, size } = link
  return { digest, size, type, subObjectCount: 0, subObjectsSize: 0n }
}

/** Whether two descriptors say the same of the same object. */
export function sameDescriptor(one: Descriptor, other: Descriptor): boolean {
  return (
    one.digest === other.digest &&
    one.size === other.size &&
    one.type === other.type &&
    one.subObjectCount === other.subObjectCount &&
    one.subObjectsSize === other.subObjectsSize
  )
}
