import { StorageFullError } from '../errors.js'
import { errnoOf, isErrno } from '../system/errno.js'

/**
 * The error to throw for a failed write: StorageFullError, with the system's as cause,
 * when there is no room; any other error as it is.
 *
 * @param what - what was being written, for the message
 */
export function writeFailure(error: unknown, what: string): unknown {
  if (!isErrno(error, 'ENOSPC', 'EDQUOT')) return error
  return new StorageFullError(
    `no room for ${what}`,
    { what, errno: errnoOf(error) },
    { cause: error },
  )
}
