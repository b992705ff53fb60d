import { lstatSync, mkdirSync, readdirSync, realpathSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import {
  AccessRefusedError,
  DestinationRefusedError,
  InvalidRepositoryError,
  RepositoryExistsError,
} from '../lib/errors.js'
import type { Algorithm } from '../lib/object/algorithm.js'
import { findRepositoryConfig } from '../lib/repository/find-repository.js'
import { initRepository } from '../lib/repository/init.js'
import { openRepository } from '../lib/repository/open.js'
import type { Repository } from '../lib/repository/repository.js'
import { isErrno } from '../lib/system/errno.js'
import { noRepository, type RepositoryPath } from './repository-path.js'

/** Where repositories are, and what may be done to the folder. */
export type ShelfOptions = {
  /** A folder of repositories, at any depth, or a repository itself. */
  readonly root: string
  readonly access: 'read' | 'write'
  /** Digest algorithm of repositories that are made; without it none is. */
  readonly createWith: Algorithm | undefined
  /** Repositories kept open; the one unused for longest is let go first. */
  readonly maxOpen: number
}

// A folder that holds both is taken for a repository of version 1: made as repositories of
// their own, they would hide all their neighbours.
const partNames = new Set(['objects', 'refs'])

type Opened = {
  readonly folder: Pick<Stats, 'dev' | 'ino'>
  readonly repository: Promise<Repository>
}

/** Finds, opens and makes the repositories below one folder, never through a symlink. */
export class RepositoryShelf {
  readonly #root: string
  readonly #options: ShelfOptions
  /** In order of use, the latest last. */
  readonly #opened = new Map<string, Opened>()
  readonly #making = new Map<string, Promise<void>>()

  /** Throws what the system says when the root is missing. */
  constructor(options: ShelfOptions) {
    this.#options = options
    this.#root = realpathSync(options.root)
  }

  /** Whether the root can be read. */
  check(): void {
    readdirSync(this.#root)
  }

  /** Opens the repository at a path; throws RepositoryNotFoundError. */
  async get(path: RepositoryPath): Promise<Repository> {
    const folder = this.#findFolder(path)
    if (folder === undefined || !isRepository(folder.place)) {
      throw noRepository(`/${path.join('/')}`)
    }
    const known = this.#opened.get(folder.place)
    const isSame = known?.folder.dev === folder.dev && known.folder.ino === folder.ino
    const opened = isSame && known !== undefined ? known : this.#open(folder)
    this.#opened.delete(folder.place)
    this.#opened.set(folder.place, opened)
    this.#letGo()
    try {
      return await opened.repository
    } catch (error) {
      this.#opened.delete(folder.place)
      throw error
    }
  }

  /** As get; makes the repository first if there is none and that is allowed. */
  async getOrMake(path: RepositoryPath): Promise<Repository> {
    const { createWith } = this.#options
    const folder = this.#findFolder(path)
    const isThere = folder !== undefined && isRepository(folder.place)
    if (createWith !== undefined && !isThere && path.length > 0) {
      await this.#makeOnce(path, createWith)
    }
    return this.get(path)
  }

  #open(folder: Folder): Opened {
    const { access } = this.#options
    return { folder, repository: openRepository(folder.place, { access }) }
  }

  #letGo(): void {
    for (const place of this.#opened.keys()) {
      if (this.#opened.size <= this.#options.maxOpen) return
      this.#opened.delete(place)
    }
  }

  // Two requests may want the same new repository at once.
  async #makeOnce(path: RepositoryPath, algorithm: Algorithm): Promise<void> {
    const key = path.join('/')
    const making = this.#making.get(key) ?? this.#make(path, algorithm)
    this.#making.set(key, making)
    try {
      await making
    } finally {
      this.#making.delete(key)
    }
  }

  async #make(path: RepositoryPath, algorithm: Algorithm): Promise<void> {
    if (path.some(name => partNames.has(name))) throw noRepository(`/${path.join('/')}`)
    let place = this.#root
    for (const name of path) {
      if (isRepository(place)) throw noRepository(`/${path.join('/')}`)
      place = join(place, name)
      try {
        mkdirSync(place, 0o700)
      } catch (error) {
        if (!isErrno(error, 'EEXIST')) throw error
        if (findFolderAt(place) === undefined) throw noRepository(`/${path.join('/')}`)
      }
    }
    try {
      await initRepository(place, { algorithm, layout: 'loose', compression: 'none' })
    } catch (error) {
      // Another process was faster.
      if (error instanceof RepositoryExistsError) return
      if (!(error instanceof DestinationRefusedError)) throw error
      const shown = `/${path.join('/')}`
      throw new DestinationRefusedError(
        `no repository can be made at "${shown}": its folder holds something else`,
        { repository: shown },
        { cause: error },
      )
    }
  }

  /** The folder at a path, unless it lies behind a symlink or inside a repository. */
  #findFolder(path: RepositoryPath): Folder | undefined {
    let folder = findFolderAt(this.#root)
    for (const name of path) {
      if (folder === undefined || isRepository(folder.place)) return undefined
      folder = findFolderAt(join(folder.place, name))
    }
    return folder
  }
}

type Folder = { readonly place: string; readonly dev: number; readonly ino: number }

function findFolderAt(place: string): Folder | undefined {
  try {
    const stats = lstatSync(place)
    return stats.isDirectory() ? { place, dev: stats.dev, ino: stats.ino } : undefined
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined
    throw error
  }
}

function isRepository(folder: string): boolean {
  try {
    return findRepositoryConfig(folder) !== undefined
  } catch (error) {
    // A file named config is common, and who may not look cannot know.
    if (error instanceof InvalidRepositoryError || error instanceof AccessRefusedError) {
      return false
    }
    throw error
  }
}
