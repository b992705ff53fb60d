import { lstatSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import {
  AccessRefusedError,
  InvalidRepositoryError,
  RepositoryChangedError,
  RepositoryNotFoundError,
} from '../errors.js'
import { isErrno } from '../system/errno.js'
import { decodeConfig, type RepositoryConfig, version1Config } from './config.js'
import { readRepositoryFile } from './repository-file.js'
import { repositoryPaths } from './repository-paths.js'
import { named } from './system-failure.js'

/**
 * Reads what a folder says of itself as a repository; undefined when it is none.
 *
 * A folder with `objects/` and `refs/tags/` and no config is one of version 1. Throws
 * InvalidRepositoryError for a config that cannot be understood, AccessRefusedError.
 */
export function findRepositoryConfig(root: string): RepositoryConfig | undefined {
  const paths = repositoryPaths(root)
  try {
    const config = readRepositoryFile(paths.config)
    if (config !== undefined) return decodeConfig(config, paths.config)
    const isVersion1 = [paths.objects, paths.tags].every(
      folder => findStat(folder)?.isDirectory() === true,
    )
    return isVersion1 ? version1Config() : undefined
  } catch (error) {
    throw named(error, 'open repository', root)
  }
}

/** As findRepositoryConfig; throws RepositoryNotFoundError where no repository is. */
export function getRepositoryConfig(root: string): RepositoryConfig {
  const config = findRepositoryConfig(root)
  if (config !== undefined) return config
  throw new RepositoryNotFoundError(`no repository at ${root}: it is gone`, {
    path: root,
  })
}

/** Throws RepositoryChangedError when a repository is not any more what it was. */
export function checkUnchanged(root: string, known: RepositoryConfig): void {
  const { id, layout, compression } = getRepositoryConfig(root)
  const isSame = layout === known.layout && compression === known.compression
  if (isSame && id === known.id) return
  throw new RepositoryChangedError(
    `${root} was changed since it was opened: expected layout ${known.layout}, ` +
      `compression ${known.compression}, found ${layout}, ${compression}; open it again`,
    { path: root, expected: known.layout, found: layout },
  )
}

/** Finds the repository that a path lies in: the nearest folder above it that is one. */
export function findRepositoryAbove(path: string): string | undefined {
  const above = dirname(path)
  if (above === path) return undefined
  return isRepository(above) ? above : findRepositoryAbove(above)
}

/** Whether a folder is a repository that can be understood. */
export function isRepository(folder: string): boolean {
  return findUsableConfig(folder) !== undefined
}

/** As findRepositoryConfig; undefined also for what cannot be understood. */
export function findUsableConfig(folder: string): RepositoryConfig | undefined {
  try {
    return findRepositoryConfig(folder)
  } catch (error) {
    // A file named config is common, and who may not look cannot know.
    const isForeign =
      error instanceof InvalidRepositoryError || error instanceof AccessRefusedError
    if (isForeign) return undefined
    throw error
  }
}

function findStat(path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}
