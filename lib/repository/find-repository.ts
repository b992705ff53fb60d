import { lstatSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import { AccessRefusedError, InvalidRepositoryError } from '../errors.js'
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

/** Finds the repository that a path lies in: the nearest folder above it that is one. */
export function findRepositoryAbove(path: string): string | undefined {
  const above = dirname(path)
  if (above === path) return undefined
  return isRepository(above) ? above : findRepositoryAbove(above)
}

/** Whether a folder is a repository that can be understood. */
export function isRepository(folder: string): boolean {
  try {
    return findRepositoryConfig(folder) !== undefined
  } catch (error) {
    // A file named config is common, and who may not look cannot know.
    const isForeign =
      error instanceof InvalidRepositoryError || error instanceof AccessRefusedError
    if (isForeign) return false
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
