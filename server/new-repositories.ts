import { mkdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { DestinationRefusedError, RepositoryExistsError } from '../lib/errors.js'
import type { RepositoryChoices } from '../lib/repository/config.js'
import { isRepository } from '../lib/repository/find-repository.js'
import { initRepository } from '../lib/repository/init.js'
import type { Repository } from '../lib/repository/repository.js'
import { isErrno } from '../lib/system/errno.js'
import { findFolderAt } from './folder.js'
import { noRepository, type RepositoryPath } from './repository-path.js'

// A folder that holds both is taken for a repository of version 1: made as repositories of
// their own, they would hide all their neighbours.
const partNames = new Set(['objects', 'refs'])

type Guests = {
  /** Pushes that use it now. */
  count: number
  /** Folders that were made for it, outermost first. */
  readonly folders: readonly string[]
}

/** Makes repositories for pushes, and removes those again that no push came into. */
export class NewRepositories {
  readonly #root: string
  readonly #choices: RepositoryChoices
  /** By place. */
  readonly #guests = new Map<string, Guests>()

  constructor(root: string, choices: RepositoryChoices) {
    this.#root = root
    this.#choices = choices
  }

  /** Makes one where none is. */
  async make(path: RepositoryPath): Promise<void> {
    const shown = `/${path.join('/')}`
    if (path.some(name => partNames.has(name))) throw noRepository(shown)
    const folders: string[] = []
    let place = this.#root
    try {
      for (const name of path) {
        if (isRepository(place)) throw noRepository(shown)
        place = join(place, name)
        if (makeFolder(place)) folders.push(place)
        else if (findFolderAt(place) === undefined) throw noRepository(shown)
      }
      const made = await initRepository(place, this.#choices)
      made[Symbol.dispose]()
      this.#guests.set(place, { count: 0, folders })
    } catch (error) {
      // Another process was faster.
      if (error instanceof RepositoryExistsError) return
      removeFolders(folders)
      if (!(error instanceof DestinationRefusedError)) throw error
      throw new DestinationRefusedError(
        `no repository can be made at "${shown}": its folder holds something else`,
        { repository: shown },
        { cause: error },
      )
    }
  }

  /** Notes that a push uses a repository, so that it stays. */
  enter({ root }: Repository): void {
    const guests = this.#guests.get(root)
    if (guests !== undefined) guests.count += 1
  }

  /** Removes a repository made here that the last push leaves as empty as it was. */
  async leave(repository: Repository): Promise<void> {
    const guests = this.#guests.get(repository.root)
    if (guests === undefined) return
    guests.count -= 1
    if (guests.count > 0) return
    this.#guests.delete(repository.root)
    if (await repository.removeIfEmpty()) removeFolders(guests.folders.slice(0, -1))
  }
}

function makeFolder(place: string): boolean {
  try {
    mkdirSync(place, 0o700)
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  }
}

function removeFolders(folders: readonly string[]): void {
  for (const folder of folders.toReversed()) {
    try {
      rmdirSync(folder)
    } catch (error) {
      // Something else came into it.
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) return
      throw error
    }
  }
}
