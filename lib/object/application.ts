import {
  type ApplicationExtension,
  decodeExtension,
  encodeExtension,
} from './application-extension.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import {
  type Descriptor,
  leafDescriptor,
  type ObjectLink,
  type SubObjectTotals,
} from './descriptor.js'
import { checkedTotals, type DirectoryLink, directoryDescriptor } from './directory.js'
import type { Strictness } from './strictness.js'

/** A whole tree with its root's header, and what is said of it (format section 2.4). */
export type Application = {
  readonly rootHeader: ObjectLink
  readonly rootDirectory: DirectoryLink
  readonly extension?: ApplicationExtension
}

/** Encodes an application: the version 1 fields, then the extension if it says anything. */
export function encodeApplication(application: Application): Buffer {
  const { rootHeader, rootDirectory, extension = {} } = application
  const writer = new ByteWriter(128)
    .digest(rootHeader.digest)
    .size(rootHeader.size, 'root header size')
    .digest(rootDirectory.digest)
    .size(rootDirectory.size, 'root directory size')
    .u32(rootDirectory.subObjectCount, 'sub-object count')
    .u64(rootDirectory.subObjectsSize, 'sub-objects size')
  const encoded = encodeExtension(extension)
  if (encoded !== undefined) writer.bytes(encoded)
  return writer.finish()
}

/**
 * Decodes an application payload; throws InvalidObjectError.
 *
 * What follows the version 1 fields must be exactly one valid extension. Tolerant, bytes
 * there that do not start as a CBOR map are passed over, as version 1 readers do.
 */
export function decodeApplication(
  payload: Uint8Array,
  strictness: Strictness,
): Application {
  const reader = new ByteReader(payload, 'application')
  const rootHeader = {
    digest: reader.digest('root header digest'),
    size: reader.size('root header size'),
  }
  const rootDirectory = {
    digest: reader.digest('root directory digest'),
    size: reader.size('root directory size'),
    subObjectCount: reader.u32('sub-object count'),
    subObjectsSize: reader.u64('sub-objects size'),
  }
  const rest = payload.subarray(reader.offset)
  const isMap = (rest[0] ?? 0) >> 5 === 5
  if (rest.length === 0 || (strictness === 'tolerant' && !isMap)) {
    return { rootHeader, rootDirectory }
  }
  return { rootHeader, rootDirectory, extension: decodeExtension(rest) }
}

/** The totals of an application (format section 2.3). */
export function applicationTotals(application: Application): SubObjectTotals {
  const { rootHeader, rootDirectory } = application
  return checkedTotals(
    2n + BigInt(rootDirectory.subObjectCount),
    BigInt(rootHeader.size) + BigInt(rootDirectory.size) + rootDirectory.subObjectsSize,
  )
}

/** What an application refers to: its root header, then its root directory. */
export function applicationDependencies(application: Application): Descriptor[] {
  return [
    leafDescriptor('header', application.rootHeader),
    directoryDescriptor(application.rootDirectory),
  ]
}
