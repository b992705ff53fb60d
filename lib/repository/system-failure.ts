import {
  AccessRefusedError,
  InvalidRepositoryError,
  StorageFullError,
} from '../errors.js'
import { errnoOf, isErrno } from '../system/errno.js'

/**
 * Runs an action on one of the repository's own files, and names the file when the system
 * refuses: StorageFullError without space, AccessRefusedError without permission,
 * InvalidRepositoryError where a file lies in the place of a folder or the other way
 * round. Every other error passes unchanged.
 */
export async function naming<Result>(
  what: string,
  path: string,
  action: () => Promise<Result>,
): Promise<Result> {
  try {
    return await action()
  } catch (error) {
    throw named(error, what, path)
  }
}

/** As `naming`, for an error that is at hand. */
export function named(error: unknown, what: string, path: string): unknown {
  const errno = errnoOf(error)
  const facts = { path, errno }
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    const message = `cannot ${what} ${path}: no space left (${errno})`
    return new StorageFullError(message, facts, { cause: error })
  }
  if (isErrno(error, 'EACCES', 'EPERM', 'EROFS')) {
    const message = `cannot ${what} ${path}: permission refused (${errno})`
    return new AccessRefusedError(message, facts, { cause: error })
  }
  if (isErrno(error, 'ENOTDIR', 'EISDIR', 'EEXIST')) {
    const [expected, found] = isErrno(error, 'EISDIR')
      ? ['a regular file', 'a folder']
      : ['a folder', 'something else']
    const place = pathOf(error) ?? path
    const message = `cannot ${what} ${path}: expected ${expected} at ${place}, found ${found}`
    const misplaced = { path: place, expected, found, errno }
    return new InvalidRepositoryError(message, misplaced, { cause: error })
  }
  return error
}

function pathOf(error: unknown): string | undefined {
  const path = error instanceof Error && 'path' in error ? error.path : undefined
  return typeof path === 'string' ? path : undefined
}
