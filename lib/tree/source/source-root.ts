import { realpathSync } from 'node:fs'
import { SourceUnreadableError } from '../../errors.js'
import { escapeBytes } from '../../object/escape.js'
import { DirectoryDescent } from '../../system/directory-descent.js'
import { errnoOf, isErrno } from '../../system/errno.js'
import { explainErrno } from './source-problem.js'

/** Opens the folder to be stored, what a link names; throws SourceUnreadableError. */
export function openRoot(source: Buffer): DirectoryDescent {
  try {
    return new DirectoryDescent(source)
  } catch (error) {
    throw isErrno(error, 'ENOTDIR')
      ? rootError(source, 'expected a folder, found something else', error)
      : unreadableRoot(source, error)
  }
}

/** The path of what is to be stored, without links; throws SourceUnreadableError. */
export function resolveRoot(source: Buffer): Buffer {
  try {
    return realpathSync.native(source, { encoding: 'buffer' })
  } catch (error) {
    throw unreadableRoot(source, error)
  }
}

// Unlike an entry found by listing a folder, a path that the caller gave need not exist.
function unreadableRoot(source: Buffer, error: unknown): unknown {
  const code = errnoOf(error)
  return code === undefined ? error : rootError(source, explainErrno(error, code), error)
}

function rootError(source: Buffer, problem: string, cause: unknown): Error {
  const path = escapeBytes(source)
  return new SourceUnreadableError(
    `cannot store ${path}: ${problem}`,
    { path, errno: errnoOf(cause) },
    { cause },
  )
}
