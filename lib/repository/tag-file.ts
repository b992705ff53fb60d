import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { InvalidObjectError, InvalidTagFileError } from '../errors.js'
import {
  type Descriptor,
  decodeDescriptor,
  maxDescriptorBytes,
} from '../object/descriptor.js'
import { isErrno } from '../system/errno.js'
import { named } from './system-failure.js'

/** What a tag file says, and when it was written. */
export type TagFile = {
  readonly descriptor: Descriptor
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly modified: bigint
}

// A fifo, or a link to one, must not make the reader wait or read elsewhere.
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Reads a tag file (format section 2.6); undefined when there is none.
 *
 * Throws InvalidTagFileError for what holds no descriptor, AccessRefusedError without
 * permission.
 */
export function readTagFile(path: string): TagFile | undefined {
  const fd = openTagFile(path)
  if (fd === undefined) return undefined
  try {
    const stat = fstatSync(fd, { bigint: true })
    if (!stat.isFile()) throw invalidTagFile(path, 'it is no regular file')
    const bytes = Buffer.alloc(maxDescriptorBytes + 1)
    const length = readSync(fd, bytes, 0, bytes.length, 0)
    return {
      descriptor: decode(path, bytes.subarray(0, length)),
      modified: stat.mtimeNs,
    }
  } finally {
    closeSync(fd)
  }
}

function openTagFile(path: string): number | undefined {
  try {
    return openSync(path, flags)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ELOOP')) throw invalidTagFile(path, 'it is a symbolic link')
    // A socket or a device without a driver.
    if (isErrno(error, 'ENXIO', 'ENODEV')) {
      throw invalidTagFile(path, 'it is no regular file')
    }
    throw named(error, 'read tag file', path)
  }
}

function decode(path: string, bytes: Buffer): Descriptor {
  try {
    return decodeDescriptor(bytes)
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error
    throw invalidTagFile(path, error.message, error)
  }
}

/** Makes the error for a tag file, or its log, that cannot be read as one. */
function invalidTagFile(
  path: string,
  problem: string,
  cause?: unknown,
): InvalidTagFileError {
  return new InvalidTagFileError(
    `invalid tag file ${path}: ${problem}`,
    { path },
    cause === undefined ? undefined : { cause },
  )
}
