import { closeSync, constants, fstatSync, readSync } from 'node:fs'
import { InvalidObjectError, InvalidTagFileError } from '../errors.js'
import {
  type Descriptor,
  decodeDescriptor,
  maxDescriptorBytes,
} from '../object/descriptor.js'
import { isErrno } from '../system/errno.js'
import { openRegularFile } from '../system/regular-file.js'
import { named } from './system-failure.js'

/** What a tag file says, and when it was written. */
export type TagFile = {
  readonly descriptor: Descriptor
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly modified: bigint
}

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
    return openRegularFile(path, constants.O_RDONLY, found => {
      const expected = 'a regular file'
      const facts = { path, expected, found }
      const message = `invalid tag file ${path}: expected ${expected}, found ${found}`
      return new InvalidTagFileError(message, facts)
    })
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw named(error, 'read tag file', path)
  }
}

function decode(path: string, bytes: Buffer): Descriptor {
  try {
    return decodeDescriptor(bytes)
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error
    const message = `invalid tag file ${path}: ${error.message}`
    throw new InvalidTagFileError(message, { path }, { cause: error })
  }
}
