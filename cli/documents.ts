import type { Descriptor } from '../lib/object/descriptor.js'
import type { JsonValue } from './json.js'

/** The members that describe an object in every document. */
export function objectMembers(descriptor: Descriptor): {
  readonly [key: string]: JsonValue
} {
  const { digest, type, size, subObjectCount, subObjectsSize } = descriptor
  return { digest, type, size, subObjectCount, subObjectsSize }
}

/** Bytes of an object and all that it refers to, each reference counted. */
export function totalSize(descriptor: Descriptor): bigint {
  return BigInt(descriptor.size) + descriptor.subObjectsSize
}
