import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { DestinationRefusedError } from '../../errors.js'
import { isErrno } from '../../system/errno.js'
import { mountIdOf } from '../../system/mount-id.js'
import { moveEntry } from './replace-entry.js'
import { removeAbandoned, WorkFolder } from './work-folder.js'

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** What stands at the place that a checkout was told to write to. */
export type DestinationState = 'absent' | 'empty' | 'filled' | 'other'

/**
 * The place that a checkout writes to, held open.
 *
 * The folder around it is open, and the folder itself when there is one, so that neither
 * can be exchanged while the tree is made.
 */
export class Destination implements Disposable {
  readonly state: DestinationState
  /** Where it is, without links. */
  readonly real: string
  readonly #name: string
  readonly #parent: number
  readonly #folder: number | undefined

  /** Looks at the place; throws DestinationRefusedError when nothing can be made there. */
  constructor(path: string) {
    const { state, real } = inspect(path)
    this.real = real
    this.#name = basename(real)
    this.#parent = openFolder(dirname(real), path)
    const isFolder = state === 'empty' || state === 'filled'
    try {
      this.#folder = isFolder ? openSync(real, folderFlags) : undefined
    } catch (error) {
      closeSync(this.#parent)
      throw refused(path, 'it cannot be opened', error)
    }
    try {
      this.state = state === 'filled' ? this.#stateOfFolder() : state
    } catch (error) {
      this[Symbol.dispose]()
      throw refused(path, 'it cannot be read', error)
    }
  }

  /** A path for system calls on the destination's own name. */
  get path(): Buffer {
    return Buffer.from(`/proc/self/fd/${this.#parent}/${this.#name}`)
  }

  /** The open folder at the destination; there must be one. */
  get folder(): number {
    if (this.#folder === undefined) throw new Error('the destination is no folder')
    return this.#folder
  }

  get exists(): boolean {
    return this.#folder !== undefined
  }

  /** A descriptor on the filesystem that will hold the tree. */
  get filesystem(): number {
    return this.#folder ?? this.#parent
  }

  /** Makes a work folder beside the destination, where that allows to rename it into place. */
  findWorkFolderBeside(): WorkFolder | undefined {
    if (
      this.#folder !== undefined &&
      mountIdOf(this.#folder) !== mountIdOf(this.#parent)
    ) {
      return undefined
    }
    try {
      return new WorkFolder(this.#parent)
    } catch (error) {
      const unwritable = isErrno(error, 'EACCES', 'EPERM', 'EROFS')
      if (this.#folder !== undefined && unwritable) return undefined
      throw refused(this.#name, 'the folder around it cannot be written', error)
    }
  }

  /** Renames a finished folder into place; false where it can only be filled in place. */
  take(from: Buffer): boolean {
    try {
      moveEntry(from, this.path)
      return true
    } catch (error) {
      const fillable = isErrno(error, 'EPERM', 'EACCES', 'EBUSY', 'EXDEV')
      if (this.#folder !== undefined && fillable) return false
      throw refused(this.#name, 'the finished tree cannot be moved there', error)
    }
  }

  /** Moves everything in an own folder into the destination; all of it or nothing. */
  fill(from: Buffer): void {
    const made = openSync(from, folderFlags)
    const moved: Buffer[] = []
    try {
      fchmodSync(made, 0o700)
      for (const name of readdirSync(from, { encoding: 'buffer' })) {
        moveEntry(inside(made, name), inside(this.folder, name))
        moved.push(name)
      }
    } catch (error) {
      for (const name of moved) renameSync(inside(this.folder, name), inside(made, name))
      throw refused(this.#name, 'the finished tree cannot be moved there', error)
    } finally {
      closeSync(made)
    }
  }

  /** Makes the destination's name durable. */
  sync(): void {
    fsyncSync(this.#parent)
    if (this.#folder !== undefined) fsyncSync(this.#folder)
  }

  // What dead checkouts left in the folder does not count, and goes.
  #stateOfFolder(): DestinationState {
    removeAbandoned(this.folder)
    return readdirSync(`/proc/self/fd/${this.folder}/.`).length === 0 ? 'empty' : 'filled'
  }

  [Symbol.dispose](): void {
    closeSync(this.#parent)
    if (this.#folder !== undefined) closeSync(this.#folder)
  }
}

function inside(folder: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${folder}/`), name])
}

function inspect(path: string): { state: DestinationState; real: string } {
  const stats = statIfThere(path)
  if (stats === undefined) {
    const absolute = resolve(path)
    if (isThere(absolute)) throw refused(path, 'it is a link to nothing')
    return { state: 'absent', real: join(realParent(absolute, path), basename(absolute)) }
  }
  if (!stats.isDirectory()) {
    const absolute = resolve(path)
    return { state: 'other', real: join(realParent(absolute, path), basename(absolute)) }
  }
  const real = realpathSync(path)
  try {
    return { state: readdirSync(real).length === 0 ? 'empty' : 'filled', real }
  } catch (error) {
    throw refused(path, 'it cannot be read', error)
  }
}

function realParent(absolute: string, path: string): string {
  try {
    return realpathSync(dirname(absolute))
  } catch (error) {
    throw refused(path, 'there is no folder for it', error)
  }
}

function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw refused(path, 'it cannot be reached', error)
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function openFolder(folder: string, path: string): number {
  try {
    return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    throw refused(path, 'the folder around it cannot be opened', error)
  }
}

function refused(path: string, why: string, cause?: unknown): unknown {
  if (cause instanceof DestinationRefusedError) return cause
  const shown =
    cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  return new DestinationRefusedError(
    `cannot check out to ${JSON.stringify(path)}: ${why}${shown}`,
    { path },
    { cause },
  )
}
