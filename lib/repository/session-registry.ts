import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from '../system/errno.js'
import { tryLock } from '../system/flock.js'
import { encodeCanonicalJson } from './canonical-json.js'
import { readTextNames } from './folder-names.js'
import { type LockOptions, waitFor } from './lock.js'
import { irregularFile, openRepositoryFile } from './repository-file.js'
import type { RepositoryPaths } from './repository-paths.js'
import { naming } from './system-failure.js'

/** What a session is for, as its file says. */
export type SessionPurpose =
  | 'store'
  | 'push'
  | 'pull'
  | 'rehash'
  | 'checkout'
  | 'mount'
  | 'gc'
  | 'migrate'
  | 'repair'

/** A session that has begun: its number, and a folder of its own. */
export type RegisteredSession = AsyncDisposable & {
  /** Higher than that of every session that began before. */
  readonly number: number
  readonly folder: string
}

/** A session as others find it. */
export type FoundSession = {
  readonly number: number
  readonly state: 'live' | 'dead'
}

const counterBytes = 17
const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = constants

/**
 * The sessions of a repository: `ROOT/sessions/<number>`, each locked by the process that
 * began it, so that an unlocked one is known to be dead.
 *
 * A session file gets its name when it is locked already, before its temp folder is made,
 * and loses it after that folder is gone. `ROOT/sessions/counter` holds the highest number
 * given, as 16 decimal digits and a newline; its lock guards the beginning of sessions.
 */
export class SessionRegistry {
  readonly #paths: RepositoryPaths
  readonly #counterPath: string

  constructor(paths: RepositoryPaths) {
    this.#paths = paths
    this.#counterPath = join(paths.sessions, 'counter')
  }

  /** Begins a session; disposing it removes its folder and its file. */
  async begin(
    purpose: SessionPurpose,
    options: LockOptions = {},
  ): Promise<RegisteredSession> {
    return this.#withCounter('begin a session in', options, counter =>
      this.#register(this.#takeNumber(counter), purpose),
    )
  }

  /**
   * Runs an action while no session can begin, for moments; it is told the highest number
   * that was given so far.
   */
  async pause<Result>(
    action: (highest: number) => Promise<Result>,
    options: LockOptions = {},
  ): Promise<Result> {
    return this.#withCounter('hold the sessions of', options, async counter =>
      action(this.#highest(counter)),
    )
  }

  /** The sessions that are there, in order of their numbers. */
  list(): FoundSession[] {
    return this.#numbers().flatMap(number => {
      const fd = this.#openIfThere(number)
      if (fd === undefined) return []
      try {
        // Shared, so that two who look at once do not take each other for the session.
        return { number, state: tryLock(fd, 'shared') ? 'dead' : 'live' }
      } finally {
        closeSync(fd)
      }
    })
  }

  /** Removes what dead sessions left behind; tells their numbers. */
  async sweep(): Promise<number[]> {
    return naming('sweep the sessions of', this.#paths.root, async () => {
      const swept: number[] = []
      for (const number of this.#numbers()) {
        if (await this.#sweepOne(number)) swept.push(number)
      }
      for (const number of readFolderNumbers(this.#paths.temp)) {
        if (existsSync(this.#path(number))) continue
        await removeFolder(this.folder(number))
        if (!swept.includes(number)) swept.push(number)
      }
      return swept
    })
  }

  /** The temp folder of a session. */
  folder(number: number): string {
    return join(this.#paths.temp, `${folderPrefix}${number}`)
  }

  async #withCounter<Result>(
    doing: string,
    options: LockOptions,
    action: (counter: number) => Result | Promise<Result>,
  ): Promise<Result> {
    return naming(doing, this.#paths.root, async () => {
      makeFolder(this.#paths.sessions, 0o700)
      makeFolder(this.#paths.temp, 0o755)
      const counter = openRepositoryFile(this.#counterPath, O_RDWR | O_CREAT)
      try {
        const awaited = { path: this.#counterPath, what: 'session lock' }
        await waitFor(() => tryLock(counter, 'exclusive'), awaited, options)
        return await action(counter)
      } finally {
        closeSync(counter)
      }
    })
  }

  #register(number: number, purpose: SessionPurpose): RegisteredSession {
    const path = this.#path(number)
    const folder = this.folder(number)
    const unborn = join(this.#paths.sessions, 'unborn')
    removeUnborn(unborn)
    const fd = openSync(unborn, O_RDWR | O_CREAT | O_EXCL, 0o600)
    let open = true
    const end = async (): Promise<void> => {
      if (!open) return
      open = false
      try {
        await removeFolder(folder)
        rmSync(path, { force: true })
      } finally {
        closeSync(fd)
      }
    }
    try {
      if (!tryLock(fd, 'exclusive')) throw new Error(`${unborn} is locked by another`)
      writeSync(fd, encodeCanonicalJson({ number, purpose, pid: process.pid }))
      renameSync(unborn, path)
      mkdirSync(folder, 0o700)
    } catch (error) {
      rmSync(path, { force: true })
      closeSync(fd)
      throw error
    }
    return { number, folder, [Symbol.asyncDispose]: end }
  }

  // Not synced: after a power loss every session is dead, and a number that comes again
  // can only make a collector wait for one session more. Names that did survive are
  // passed by.
  #takeNumber(counter: number): number {
    const number = this.#highest(counter) + 1
    writeSync(counter, `${String(number).padStart(counterBytes - 1, '0')}\n`, 0)
    return number
  }

  #highest(counter: number): number {
    const bytes = Buffer.alloc(counterBytes)
    const length = readSync(counter, bytes, 0, bytes.length, 0)
    const text = bytes.toString('latin1', 0, length)
    const given = /^\d{16}\n$/.test(text) ? Number(text) : 0
    const taken = [...this.#numbers(), ...readFolderNumbers(this.#paths.temp)]
    return Math.max(given, ...taken)
  }

  async #sweepOne(number: number): Promise<boolean> {
    const fd = this.#openIfThere(number)
    if (fd === undefined) return false
    try {
      // Another may have swept it between our open and our lock.
      if (!tryLock(fd, 'exclusive') || fstatSync(fd).nlink === 0) return false
      await removeFolder(this.folder(number))
      rmSync(this.#path(number), { force: true })
      return true
    } finally {
      closeSync(fd)
    }
  }

  #numbers(): number[] {
    return readNumbers(this.#paths.sessions, '')
  }

  #path(number: number): string {
    return join(this.#paths.sessions, String(number))
  }

  #openIfThere(number: number): number | undefined {
    try {
      return openRepositoryFile(this.#path(number), O_RDONLY)
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    }
  }
}

/** What the names of session folders in `ROOT/temp` start with. */
const folderPrefix = 'session-'

function readFolderNumbers(temp: string): number[] {
  return readNumbers(temp, folderPrefix)
}

function readNumbers(folder: string, prefix: string): number[] {
  return readTextNames(folder)
    .filter(name => name.startsWith(prefix) && isNumber(name.slice(prefix.length)))
    .map(name => Number(name.slice(prefix.length)))
    .toSorted((one, other) => one - other)
}

function isNumber(text: string): boolean {
  return /^[1-9]\d{0,14}$/.test(text)
}

// Not those above it: a repository that was removed must not come back as an empty folder.
function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, mode)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  }
}

// What a session that was stopped at its birth left, or anything else but a folder.
function removeUnborn(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (isErrno(error, 'EISDIR')) throw irregularFile(path, 'a folder')
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}
