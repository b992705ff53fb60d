import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  utimesSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../system/errno.js'
import { tryLock } from '../system/flock.js'
import { readTextNames } from './folder-names.js'
import type { RepositoryPaths } from './repository-paths.js'
import { naming } from './system-failure.js'

/** What a folder is kept for: the rest of a pull, or a push that is not complete. */
export type KeptKind = 'pull' | 'push'

/** A folder that is in use; disposing ends the use, and the folder stays. */
export type KeptFolder = Disposable & {
  readonly path: string
  /** Removes the folder with all that is in it, and ends the use. */
  remove(): Promise<void>
}

const day = 24 * 60 * 60 * 1000
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

/**
 * Folders that outlive the process that uses them, `ROOT/kept/KIND-KEY`: what a transfer
 * left when it was cut off. Each is locked while it is in use, and goes when it was not
 * used for a day.
 */
export class KeptFolders {
  readonly #paths: RepositoryPaths

  constructor(paths: RepositoryPaths) {
    this.#paths = paths
  }

  /**
   * Takes a folder into use, which is made when it is missing and `make` is set;
   * undefined when it is missing, or in use by another. Keys are of digits and a-z.
   */
  async claim(
    kind: KeptKind,
    key: string,
    { make }: { make: boolean },
  ): Promise<KeptFolder | undefined> {
    const path = this.#path(kind, key)
    return naming('keep', path, async () => {
      if (make) mkdirSync(path, { recursive: true, mode: 0o700 })
      return this.#use(path)
    })
  }

  /** Keys of the folders of a kind, in use or not. */
  list(kind: KeptKind): string[] {
    return readTextNames(this.#paths.kept).flatMap(name => {
      const [found, key] = name.split('-')
      return found === kind && key !== undefined && isKey(key) ? [key] : []
    })
  }

  /** Removes folders that nobody uses and that were not used for `age` milliseconds. */
  async expire({ age = day, now = Date.now() } = {}): Promise<void> {
    await naming('clear', this.#paths.kept, async () => {
      for (const name of readTextNames(this.#paths.kept)) {
        const path = join(this.#paths.kept, name)
        const stat = lstatSync(path, { throwIfNoEntry: false })
        if (stat?.isDirectory() !== true || now - stat.mtimeMs < age) continue
        const folder = this.#use(path, { touch: false })
        await folder?.remove()
      }
    })
  }

  #path(kind: KeptKind, key: string): string {
    if (!isKey(key)) throw new Error(`no key for a kept folder: ${key}`)
    return join(this.#paths.kept, `${kind}-${key}`)
  }

  #use(path: string, { touch = true } = {}): KeptFolder | undefined {
    let fd: number | undefined = openFolder(path)
    if (fd === undefined) return undefined
    const end = (): void => {
      if (fd === undefined) return
      const ended = fd
      fd = undefined
      closeSync(ended)
    }
    // It may have been removed between our open and our lock.
    if (!tryLock(fd, 'exclusive') || fstatSync(fd).nlink === 0) {
      end()
      return undefined
    }
    if (touch) utimesSync(path, new Date(), new Date())
    const remove = async (): Promise<void> => {
      try {
        await rm(path, { recursive: true, force: true })
      } finally {
        end()
      }
    }
    return { path, remove, [Symbol.dispose]: end }
  }
}

function isKey(text: string): boolean {
  return /^[0-9a-z]{1,64}$/.test(text)
}

function openFolder(path: string): number | undefined {
  try {
    return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
