import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { DestinationRefusedError } from '../lib/errors.js'
import { findRepositoryAbove } from '../lib/repository/find-repository.js'
import { isErrno } from '../lib/system/errno.js'

/** Refuses to check out over a repository, or into one: its files would be replaced. */
export function refuseRepositoryAt(destination: string): void {
  const real = findRealPath(resolve(destination))
  // Checkout says what is wrong with a place that cannot be reached.
  if (real === undefined) return
  const repository = findRepositoryAbove(join(real, 'entry'))
  if (repository === undefined) return
  const problem = repository === real ? 'it is a repository' : 'it lies in the repository'
  const where = repository === real ? '' : ` ${repository}`
  throw new DestinationRefusedError(
    `cannot check out to ${JSON.stringify(destination)}: ${problem}${where}`,
    { path: destination, repository },
  )
}

// The destination itself need not exist.
function findRealPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) return onlyUnreachable(error)
  }
  try {
    return join(realpathSync(dirname(path)), basename(path))
  } catch (error) {
    return onlyUnreachable(error)
  }
}

function onlyUnreachable(error: unknown): undefined {
  if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) return undefined
  throw error
}
