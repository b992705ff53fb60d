import { closeSync, constants } from 'node:fs'
import { join } from 'node:path'
import { tryLock } from '../../system/flock.js'
import { type LockOptions, waitFor } from '../lock.js'
import { openRepositoryFile } from '../repository-file.js'
import { named } from '../system-failure.js'

/**
 * Keeps every other collection and merge of packs away from a repository, until it is
 * disposed; readers and sessions go on. Throws LockBusyError.
 */
export async function lockCollector(
  root: string,
  options: LockOptions = {},
): Promise<Disposable> {
  const path = join(root, 'gc.lock')
  const { O_CREAT, O_RDWR } = constants
  const fd = openLock(path, O_RDWR | O_CREAT)
  try {
    const awaited = { path, what: 'garbage collector lock' }
    await waitFor(() => tryLock(fd, 'exclusive'), awaited, options)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  let isHeld = true
  return {
    [Symbol.dispose]() {
      if (isHeld) closeSync(fd)
      isHeld = false
    },
  }
}

function openLock(path: string, flags: number): number {
  try {
    return openRepositoryFile(path, flags)
  } catch (error) {
    throw named(error, 'lock', path)
  }
}
