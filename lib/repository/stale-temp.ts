import { lstatSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { LockBusyError } from '../errors.js'
import { readTextNames } from './folder-names.js'
import { withLock } from './lock.js'
import type { RepositoryPaths } from './repository-paths.js'

/** The name of a file in `ROOT/temp` that is about to replace another. */
export const replacementName = 'replacement'

/** A file of another program, or of a stopped one, in `ROOT/temp`. */
export type StrayTempFile = {
  readonly name: string
  readonly path: string
  /** Milliseconds since 1970-01-01 UTC. */
  readonly modified: number
}

const day = 24 * 60 * 60 * 1000

/**
 * Lists the temporary files that the original program makes (decimal names) and those
 * meant to replace another file.
 */
export function listStrayTempFiles(temp: string): StrayTempFile[] {
  return readTextNames(temp).flatMap(name => {
    if (name !== replacementName && !/^\d+$/.test(name)) return []
    const path = join(temp, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    return stat?.isFile() === true ? { name, path, modified: stat.mtimeMs } : []
  })
}

/**
 * Removes temporary files that nobody has written to for `age` milliseconds (default: a
 * day), under the exclusive lock; tells their names.
 *
 * Does nothing while another holds the lock: what is stale can wait.
 */
export async function clearStaleTemp(
  paths: RepositoryPaths,
  { age = day, now = Date.now() }: { age?: number; now?: number } = {},
): Promise<string[]> {
  const isStale = (file: StrayTempFile): boolean => now - file.modified >= age
  if (!listStrayTempFiles(paths.temp).some(isStale)) return []
  try {
    return await withLock(paths, { mode: 'exclusive', wait: 0 }, async () => {
      const stale = listStrayTempFiles(paths.temp).filter(isStale)
      for (const { path } of stale) rmSync(path, { force: true })
      return stale.map(({ name }) => name)
    })
  } catch (error) {
    if (error instanceof LockBusyError) return []
    throw error
  }
}
