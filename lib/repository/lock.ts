import { closeSync, constants, openSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { LockBusyError } from '../errors.js'
import { isErrno } from '../system/errno.js'
import { tryLock, unlock } from '../system/flock.js'
import { openRepositoryFile } from './repository-file.js'
import type { RepositoryPaths } from './repository-paths.js'
import { named } from './system-failure.js'

/** `shared` to read or add objects, `exclusive` to change tags or delete objects. */
export type LockMode = 'shared' | 'exclusive'

/** How long to wait for a lock. */
export type LockOptions = {
  /** Milliseconds; 0 does not wait, Infinity waits for ever. Default: one minute. */
  readonly wait?: number
  /** Ends the waiting with the signal's reason. */
  readonly signal?: AbortSignal
}

/**
 * A held lock on a repository: it lasts until it is disposed or the process ends.
 *
 * It is meant to be held for moments. Disposing twice is harmless.
 */
export class RepositoryLock implements AsyncDisposable {
  readonly mode: LockMode
  // Only the number is kept: nothing can close the descriptor behind the lock's back.
  #fd: number | undefined

  constructor(mode: LockMode, fd: number) {
    this.mode = mode
    this.#fd = fd
  }

  get held(): boolean {
    return this.#fd !== undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const fd = this.#fd
    this.#fd = undefined
    if (fd !== undefined) closeSync(fd)
  }
}

const defaultWait = 60_000
const longestPause = 16

/**
 * Takes the lock of a repository: flock(2) on its root folder, as the original program
 * does, behind the file `gate`.
 *
 * Everyone passes through the gate first; who wants the lock exclusively keeps the gate
 * until it has it, so that readers who overlap cannot starve it. A reader who may not
 * write here, and finds no gate, goes without. Waiting does not block the event loop.
 * Throws LockBusyError when `wait` has passed, AccessRefusedError without permission.
 */
export async function acquireLock(
  paths: Pick<RepositoryPaths, 'root' | 'gate'>,
  mode: LockMode,
  options: LockOptions = {},
): Promise<RepositoryLock> {
  const gate = openGate(paths.gate, mode)
  try {
    const root = openRoot(paths.root)
    try {
      const attempt = mode === 'shared' ? sharedAttempt : exclusiveAttempt
      await waitFor(
        attempt(root, gate),
        { path: paths.root, what: `${mode} lock` },
        options,
      )
      return new RepositoryLock(mode, root)
    } catch (error) {
      closeSync(root)
      throw error
    }
  } finally {
    if (gate !== undefined) closeSync(gate)
  }
}

/** Runs an action under the lock of a repository; throws as acquireLock does. */
export async function withLock<Result>(
  paths: Pick<RepositoryPaths, 'root' | 'gate'>,
  { mode, ...options }: LockOptions & { readonly mode: LockMode },
  action: () => Promise<Result>,
): Promise<Result> {
  const lock = await acquireLock(paths, mode, options)
  try {
    return await action()
  } finally {
    await lock[Symbol.asyncDispose]()
  }
}

/** What is being waited for, as a message names it. */
export type Awaited = { readonly path: string; readonly what: string }

/**
 * Repeats a non-blocking attempt with growing pauses until it succeeds; throws
 * LockBusyError after `wait` milliseconds.
 */
export async function waitFor(
  attempt: () => boolean,
  { path, what }: Awaited,
  { wait = defaultWait, signal }: LockOptions = {},
): Promise<void> {
  signal?.throwIfAborted()
  const start = performance.now()
  for (let longest = 1; !attempt(); longest = Math.min(longest * 2, longestPause)) {
    const left = wait - (performance.now() - start)
    if (left <= 0) {
      const waited = wait > 0 ? ` after ${wait} ms` : ''
      const message = `${what} on ${path} is busy${waited}: another process holds it`
      throw new LockBusyError(message, { path, lock: what, waited: wait })
    }
    // Waiters that pause in step would keep meeting each other.
    await pause(Math.min(longest * (0.5 + Math.random() / 2), left), signal)
  }
}

async function pause(milliseconds: number, signal: AbortSignal | undefined) {
  try {
    await delay(milliseconds, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}

function sharedAttempt(root: number, gate: number | undefined): () => boolean {
  return () => {
    if (gate === undefined) return tryLock(root, 'shared')
    if (!tryLock(gate, 'exclusive')) return false
    try {
      return tryLock(root, 'shared')
    } finally {
      unlock(gate)
    }
  }
}

function exclusiveAttempt(root: number, gate: number | undefined): () => boolean {
  let passed = gate === undefined
  return () => {
    if (!passed && gate !== undefined) passed = tryLock(gate, 'exclusive')
    return passed && tryLock(root, 'exclusive')
  }
}

function openRoot(root: string): number {
  try {
    return openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    throw named(error, 'lock', root)
  }
}

function openGate(path: string, mode: LockMode): number | undefined {
  const { O_CREAT, O_RDONLY, O_RDWR } = constants
  try {
    return openRepositoryFile(path, O_RDWR | O_CREAT)
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM', 'EROFS') || mode === 'exclusive') {
      throw named(error, 'open the gate', path)
    }
  }
  try {
    return openRepositoryFile(path, O_RDONLY)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'EPERM')) return undefined
    throw error
  }
}
