import {
  closeSync,
  constants,
  fchmodSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { DestinationRefusedError, RepositoryExistsError } from '../errors.js'
import { escapeBytes } from '../object/escape.js'
import { isErrno } from '../system/errno.js'
import { type FileCalls, systemFileCalls } from '../system/file-calls.js'
import { tryLock } from '../system/flock.js'
import { createConfig, encodeConfig, type RepositoryChoices } from './config.js'
import { ensureFolder, replaceFile, syncPath } from './durable-file.js'
import { findRepositoryAbove, isRepository } from './find-repository.js'
import { waitFor } from './lock.js'
import { type OpenOptions, openRepository } from './open.js'
import { writePackedNotice } from './packed-notice.js'
import type { Repository } from './repository.js'
import { type RepositoryPaths, repositoryPaths } from './repository-paths.js'
import { naming } from './system-failure.js'

// All that an init which was stopped may have left in the folder.
const newConfigName = 'config.new'

/**
 * Makes a repository in a new or empty folder, whose parent exists.
 *
 * The folder gets mode 0700. Throws RepositoryExistsError when it is a repository or lies
 * inside one, DestinationRefusedError when it holds other things or cannot be made,
 * AccessRefusedError, StorageFullError.
 */
export async function initRepository(
  root: string,
  choices: RepositoryChoices,
  options: OpenOptions = {},
): Promise<Repository> {
  const calls = options.calls ?? systemFileCalls
  await naming('make a repository at', root, async () => {
    const paths = repositoryPaths(makeRoot(resolve(root)))
    await claim(paths, choices, calls)
    await makeObjects(paths, choices, calls)
    await ensureFolder(paths.tags, calls)
    await syncPath(dirname(paths.root), calls)
  })
  return openRepository(root, options)
}

// Where objects are in packs, tools of version 1 must fail rather than see none.
async function makeObjects(
  paths: RepositoryPaths,
  { layout }: RepositoryChoices,
  calls: FileCalls,
): Promise<void> {
  if (layout === 'loose') return ensureFolder(paths.objects, calls)
  await writePackedNotice(paths, calls)
}

function makeRoot(path: string): string {
  const parent = realParent(path)
  const root = join(parent, basename(path))
  try {
    mkdirSync(root, 0o700)
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return realpathSync(root)
    if (isErrno(error, 'ENOTDIR')) throw refused(path, 'its parent is no folder')
    throw error
  }
  return root
}

function realParent(path: string): string {
  try {
    return realpathSync(dirname(path))
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error
    throw refused(path, 'its parent folder does not exist')
  }
}

// The config comes first: a folder with objects and tags but none would be taken for a
// repository of version 1.
async function claim(
  paths: RepositoryPaths,
  choices: RepositoryChoices,
  calls: FileCalls,
): Promise<void> {
  const fd = openRoot(paths.root)
  try {
    const awaited = { path: paths.root, what: 'exclusive lock' }
    await waitFor(() => tryLock(fd, 'exclusive'), awaited)
    checkFree(paths.root)
    fchmodSync(fd, 0o700)
    await replaceFile(paths.config, encodeConfig(createConfig(choices)), {
      temporary: join(paths.root, newConfigName),
      calls,
    })
  } finally {
    closeSync(fd)
  }
}

function checkFree(root: string): void {
  if (isRepository(root)) {
    throw new RepositoryExistsError(`${root} is a repository already`, { path: root })
  }
  const above = findRepositoryAbove(root)
  if (above !== undefined) {
    throw new RepositoryExistsError(
      `${root} lies inside the repository ${above}: expected a place outside of it`,
      { path: root, found: above },
    )
  }
  const foreign = readdirSync(root, { encoding: 'buffer' }).find(
    name => name.toString('latin1') !== newConfigName,
  )
  if (foreign !== undefined) {
    throw refused(root, `expected an empty folder, found "${escapeBytes(foreign)}" in it`)
  }
}

function openRoot(root: string): number {
  try {
    return openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, 'ENOTDIR')) throw refused(root, 'it is no folder')
    throw error
  }
}

function refused(path: string, problem: string): DestinationRefusedError {
  return new DestinationRefusedError(`cannot make a repository at ${path}: ${problem}`, {
    path,
  })
}
