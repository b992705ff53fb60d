import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { RepositoryNotFoundError } from '../errors.js'
import type { ObjectStore } from '../store/object-store.js'
import { isErrno } from '../system/errno.js'
import { type FileCalls, systemFileCalls } from '../system/file-calls.js'
import { payloadCompression } from './compression.js'
import type { RepositoryConfig } from './config.js'
import { findRepositoryConfig } from './find-repository.js'
import { Repository } from './repository.js'
import { repositoryPaths } from './repository-paths.js'
import { named, naming } from './system-failure.js'

/** How a repository is opened. */
export type OpenOptions = {
  /**
   * `write` removes what dead sessions and stale temporary files left behind, as far as
   * nobody is in the way; `read`, the default, changes nothing on disk.
   */
  readonly access?: 'read' | 'write'
  /** The calls that change files; the system's unless a test says otherwise. */
  readonly calls?: FileCalls
}

/**
 * Opens a repository; who opens many disposes each.
 *
 * Throws RepositoryNotFoundError when `root` is none, InvalidRepositoryError when its
 * config cannot be understood, AccessRefusedError.
 */
export async function openRepository(
  root: string,
  { access = 'read', calls = systemFileCalls }: OpenOptions = {},
): Promise<Repository> {
  const real = realRoot(resolve(root))
  const config = findRepositoryConfig(real)
  if (config === undefined) throw notFound(real, 'it is no repository')
  const paths = repositoryPaths(real)
  const repository = new Repository(
    paths,
    config,
    await naming('open repository', paths.root, async () =>
      openStore(paths.root, config),
    ),
    calls,
  )
  if (access === 'write') await repository.sweep()
  return repository
}

function realRoot(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) throw notFound(path, 'no such folder')
    throw named(error, 'open repository', path)
  }
}

// A layout's code is loaded with the first repository that has it: a command that lives
// for moments would spend half its time on the other one.
async function openStore(
  root: string,
  { layout, compression }: RepositoryConfig,
): Promise<ObjectStore> {
  switch (layout) {
    case 'loose':
      return (await import('../store/loose-store.js')).openLooseStore(root)
    case 'pack':
      return (await import('../store/pack/pack-store.js')).openPackStore(root, {
        compression: payloadCompression(compression),
      })
    default:
      return layout satisfies never
  }
}

function notFound(path: string, problem: string): RepositoryNotFoundError {
  return new RepositoryNotFoundError(`no repository at ${path}: ${problem}`, { path })
}
