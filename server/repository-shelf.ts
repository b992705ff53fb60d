import { readdirSync, realpathSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { RepositoryChoices, RepositoryConfig } from '../lib/repository/config.js'
import { findUsableConfig, isRepository } from '../lib/repository/find-repository.js'
import { openRepository } from '../lib/repository/open.js'
import type { Repository } from '../lib/repository/repository.js'
import { isErrno } from '../lib/system/errno.js'
import { type Folder, findFolderAt } from './folder.js'
import { NewRepositories } from './new-repositories.js'
import {
  isRepositoryName,
  maxDepth,
  noRepository,
  type RepositoryPath,
} from './repository-path.js'

/** Where repositories are, and what may be done to the folder. */
export type ShelfOptions = {
  /** A folder of repositories, at any depth, or a repository itself. */
  readonly root: string
  readonly access: 'read' | 'write'
  /** What repositories that are made are like; without it none is. */
  readonly createWith: RepositoryChoices | undefined
  /** Repositories kept open; the one unused for longest is let go first. */
  readonly maxOpen: number
}

/** A repository in use; disposing ends the use. */
export type UsedRepository = AsyncDisposable & { readonly repository: Repository }

type Opened = {
  readonly folder: Folder
  /** How it keeps objects: it may be migrated. */
  readonly kind: string
  readonly repository: Promise<Repository>
}

/** Finds, opens and makes the repositories below one folder, never through a symlink. */
export class RepositoryShelf {
  readonly #root: string
  readonly #options: ShelfOptions
  /** In order of use, the latest last. */
  readonly #opened = new Map<string, Opened>()
  readonly #new: NewRepositories | undefined
  #turn: Promise<void> = Promise.resolve()

  /** Throws what the system says when the root is missing. */
  constructor(options: ShelfOptions) {
    this.#options = options
    this.#root = realpathSync(options.root)
    const { createWith } = options
    this.#new = createWith && new NewRepositories(this.#root, createWith)
  }

  /** Whether the root can be read. */
  check(): void {
    readdirSync(this.#root)
  }

  /** The folder that is served. */
  get root(): string {
    return this.#root
  }

  /** Paths of all repositories, found one after another without blocking. */
  async *list(): AsyncGenerator<RepositoryPath, void> {
    const waiting: RepositoryPath[] = [[]]
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const place = join(this.#root, ...path)
      if (isRepository(place)) yield path
      else if (path.length < maxDepth) waiting.push(...(await pathsBelow(place, path)))
    }
  }

  /** Opens the repository at a path; throws RepositoryNotFoundError. */
  async get(path: RepositoryPath): Promise<Repository> {
    const folder = this.#findFolder(path)
    const config = folder && findUsableConfig(folder.place)
    if (folder === undefined || config === undefined) {
      throw noRepository(`/${path.join('/')}`)
    }
    const known = this.#opened.get(folder.place)
    const opened =
      known !== undefined && isSame(known, folder, config)
        ? known
        : this.#open(folder, config)
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

  /**
   * As get; makes the repository first if there is none and that is allowed. If nothing
   * came into it, it goes with the last use.
   */
  async use(path: RepositoryPath): Promise<UsedRepository> {
    const made = this.#new
    if (made === undefined) {
      return { repository: await this.get(path), [Symbol.asyncDispose]: nothing }
    }
    return this.#inTurn(async () => {
      const folder = this.#findFolder(path)
      const isThere = folder !== undefined && isRepository(folder.place)
      if (!isThere && path.length > 0) await made.make(path)
      const repository = await this.get(path)
      made.enter(repository)
      let isUsed = true
      const end = async (): Promise<void> => {
        if (!isUsed) return
        isUsed = false
        await this.#inTurn(async () => made.leave(repository))
      }
      return { repository, [Symbol.asyncDispose]: end }
    })
  }

  #open(folder: Folder, { layout, compression }: RepositoryConfig): Opened {
    const { access } = this.#options
    const kind = `${layout} ${compression}`
    return { folder, kind, repository: openRepository(folder.place, { access }) }
  }

  #letGo(): void {
    for (const place of this.#opened.keys()) {
      if (this.#opened.size <= this.#options.maxOpen) return
      this.#opened.delete(place)
    }
  }

  // One must not be removed while another request begins to use it, nor made twice.
  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work)
    // Whoever waits for this turn gets its error; the next turn only waits for its end.
    this.#turn = result.then(nothing, nothing)
    return result
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

function isSame(
  known: Opened,
  { dev, ino }: Folder,
  { layout, compression }: RepositoryConfig,
): boolean {
  const { folder, kind } = known
  return folder.dev === dev && folder.ino === ino && kind === `${layout} ${compression}`
}

async function pathsBelow(
  place: string,
  path: RepositoryPath,
): Promise<RepositoryPath[]> {
  try {
    const entries = await readdir(place, { withFileTypes: true })
    return entries
      .filter(entry => entry.isDirectory() && isRepositoryName(entry.name))
      .map(({ name }) => [...path, name])
  } catch (error) {
    // It went away, or is none of ours.
    if (isErrno(error, 'ENOENT', 'EACCES')) return []
    throw error
  }
}

async function nothing(): Promise<void> {}
