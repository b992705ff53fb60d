import { CairnError, DestinationRefusedError, StorageFullError } from '../../errors.js'
import { errnoOf, isErrno } from '../../system/errno.js'
import { showPath } from '../shown-path.js'

/**
 * What a failed system call on an entry of a checkout means to the caller: the path that
 * it was about, instead of the one through /proc, and the system's error as cause.
 */
export function writingError(error: unknown, path: () => Buffer): unknown {
  const errno = errnoOf(error)
  if (errno === undefined || error instanceof CairnError) return error
  const shown = showPath(path())
  const facts = { path: shown, errno }
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    const message = `no space left to write ${shown}`
    return new StorageFullError(message, facts, { cause: error })
  }
  const message = `cannot write ${shown}: ${errno}`
  return new DestinationRefusedError(message, facts, { cause: error })
}
