import { InvalidObjectError } from '../errors.js'
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
import {
  checkedTotals,
  type DirectoryLink,
  directoryDescriptor,
  type ExactTotals,
  minDirectoryBytes,
} from './directory.js'
import { minHeaderBytes } from './header.js'
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
  checkOrdinals(application)
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
  if (strictness === 'strict') {
    checkSmallest(reader, 'root header', rootHeader.size, minHeaderBytes)
    checkSmallest(reader, 'root directory', rootDirectory.size, minDirectoryBytes)
  }
  const rest = payload.subarray(reader.offset)
  const isMap = (rest[0] ?? 0) >> 5 === 5
  if (rest.length === 0 || (strictness === 'tolerant' && !isMap)) {
    return { rootHeader, rootDirectory }
  }
  const application = { rootHeader, rootDirectory, extension: decodeExtension(rest) }
  checkOrdinals(application)
  return application
}

/**
 * The totals of an application (format section 2.3).
 *
 * Throws NotRepresentableError when a total is beyond its field.
 */
export function applicationTotals(application: Application): SubObjectTotals {
  const { count, size } = exactApplicationTotals(application)
  return checkedTotals(count, size)
}

/** The totals of an application, whether or not they fit their fields. */
export function exactApplicationTotals(application: Application): ExactTotals {
  const { rootHeader, rootDirectory } = application
  return {
    count: 2n + BigInt(rootDirectory.subObjectCount),
    size:
      BigInt(rootHeader.size) + BigInt(rootDirectory.size) + rootDirectory.subObjectsSize,
  }
}

/** What an application refers to: its root header, then its root directory. */
export function applicationDependencies(application: Application): Descriptor[] {
  return [
    leafDescriptor('header', application.rootHeader),
    directoryDescriptor(application.rootDirectory),
  ]
}

function checkSmallest(
  reader: ByteReader,
  field: string,
  size: number,
  least: number,
): void {
  if (size < least) {
    throw reader.invalid(`a ${field} of ${size} bytes: expected at least ${least}`)
  }
}

// Every entry below the root is at least one reference, so the totals bound the ordinals.
function checkOrdinals({ extension, rootDirectory }: Application): void {
  const last = rootDirectory.subObjectCount
  for (const group of extension?.hardLinks ?? []) {
    const ordinal = group.at(-1) ?? 0
    if (ordinal > last) {
      throw new InvalidObjectError(
        `invalid application: a hard link names entry ${ordinal} of a tree of at most ${last}`,
        { what: 'application', found: ordinal, expected: last },
      )
    }
  }
}
