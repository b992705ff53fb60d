import { InvalidObjectError } from '../errors.js'

/** The four kinds of object (format section 1). */
export type ObjectType = 'file' | 'directory' | 'header' | 'application'

const types = ['file', 'directory', 'header', 'application'] as const

const bytes: Readonly<Record<ObjectType, number>> = {
  file: 0,
  directory: 1,
  header: 2,
  application: 3,
}

/** The byte that stands in front of an object's payload and in a descriptor. */
export function objectTypeByte(type: ObjectType): number {
  return bytes[type]
}

/** Parses an object type byte; throws InvalidObjectError for an unknown one. */
export function parseObjectType(byte: number): ObjectType {
  const type = types[byte]
  if (type === undefined) {
    throw new InvalidObjectError(`unknown object type: expected 0 to 3, found ${byte}`, {
      found: byte,
    })
  }
  return type
}
