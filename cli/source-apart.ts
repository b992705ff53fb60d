import { type BigIntStats, realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { InvalidArgumentError } from '../lib/errors.js'
import { isErrno } from '../lib/system/errno.js'

/**
 * Refuses to store a folder that holds the repository, or lies in it: it would grow while
 * it is read, and hold every tree that was stored before.
 *
 * Compares folders, not names, so that links and bind mounts do not hide one.
 */
export function refuseOwnRepository(source: string, repository: string): void {
  const [place, root] = [findFolder(source), findFolder(repository)]
  // The store says what is wrong with a source that is not there.
  if (place === undefined || root === undefined) return
  const problem = isAbove(place, root)
    ? 'it holds the repository'
    : isAbove(root, place)
      ? 'it lies in the repository'
      : undefined
  if (problem === undefined) return
  throw new InvalidArgumentError(
    `cannot store ${source}: ${problem} ${root.path}; name another one with --repo`,
    { path: source, repository: root.path },
  )
}

type Folder = { readonly path: string; readonly stats: BigIntStats }

function findFolder(path: string): Folder | undefined {
  try {
    const real = realpathSync(path)
    return { path: real, stats: statSync(real, { bigint: true }) }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) return undefined
    throw error
  }
}

function isAbove(folder: Folder, below: Folder): boolean {
  for (let path = below.path; ; path = dirname(path)) {
    const { dev, ino } = statSync(path, { bigint: true })
    if (dev === folder.stats.dev && ino === folder.stats.ino) return true
    if (path === dirname(path)) return false
  }
}
