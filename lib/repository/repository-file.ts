import { closeSync, constants, readFileSync } from 'node:fs'
import { InvalidRepositoryError } from '../errors.js'
import { isErrno } from '../system/errno.js'
import { openRegularFile } from '../system/regular-file.js'

/**
 * Opens one of a repository's own files; throws InvalidRepositoryError for what is no
 * regular file, and else what the system says.
 */
export function openRepositoryFile(path: string, flags: number): number {
  return openRegularFile(path, flags, found => irregularFile(path, found))
}

/** Reads one of a repository's own files whole; undefined when there is none. */
export function readRepositoryFile(path: string): Buffer | undefined {
  let fd: number
  try {
    fd = openRepositoryFile(path, constants.O_RDONLY)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
  try {
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** The error for something that lies where a repository has a file. */
export function irregularFile(path: string, found: string): InvalidRepositoryError {
  const expected = 'a regular file'
  return new InvalidRepositoryError(
    `invalid repository file ${path}: expected ${expected}, found ${found}`,
    { path, expected, found },
  )
}
