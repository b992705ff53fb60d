import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  statSync,
} from 'node:fs'
import { isErrno } from '../../system/errno.js'
import { tryLock } from '../../system/flock.js'
import { hasNativeCalls } from '../../system/libc.js'
import { mountIdOf } from '../../system/mount-id.js'
import { listXattrs, removeXattr } from '../../system/xattr.js'
import { emptyFolder } from './remove-tree.js'

const prefix = '.cairn-'
const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** Whether a name is that of a work folder: one left behind was a checkout that died. */
export function isWorkFolderName(name: string): boolean {
  return /^\.cairn-[0-9a-f]{16}$/.test(name)
}

/**
 * Removes the work folders of this user in a folder whose checkouts have died, as far as
 * that can be told: those that nobody holds locked.
 */
export function removeAbandoned(folder: number): void {
  if (!hasNativeCalls()) return
  for (const name of readdirSync(inProc(folder))) {
    if (isWorkFolderName(name)) removeIfAbandoned(inProc(folder, name))
  }
}

function removeIfAbandoned(path: string): void {
  let fd: number
  try {
    fd = openSync(path, folderFlags)
  } catch (error) {
    // Another's, no folder, or gone meanwhile.
    if (isErrno(error, 'EACCES', 'ENOTDIR', 'ELOOP', 'ENOENT')) return
    throw error
  }
  try {
    const { uid, mode } = fstatSync(fd)
    if (uid !== process.geteuid?.() || (mode & 0o777) !== 0o700) return
    if (!tryLock(fd, 'exclusive')) return
    emptyFolder(fd)
    rmdirSync(path)
  } catch (error) {
    // A read-only filesystem, or a sticky folder of another user: it has to stay.
    if (!isErrno(error, 'EROFS', 'EACCES', 'EPERM', 'ENOENT')) throw error
  } finally {
    closeSync(fd)
  }
}

/**
 * A private folder (0700) in which entries are made before they get their place.
 *
 * It is addressed through its descriptor, so nobody can put another in its stead, and
 * locked as long as it is used: one that is not was left behind. Disposing removes it with
 * all that is in it.
 */
export class WorkFolder implements Disposable {
  readonly #parent: number
  readonly #name: string
  readonly #fd: number
  readonly #mount: number
  #count = 0
  #closed = false

  /**
   * Makes one in a folder, which need not stay open, having removed abandoned ones; throws
   * the system's error.
   */
  constructor(parent: number) {
    this.#parent = openSync(inProc(parent), constants.O_RDONLY)
    try {
      removeAbandoned(this.#parent)
      const { name, fd } = makeLocked(this.#parent)
      this.#name = name
      this.#fd = fd
    } catch (error) {
      closeSync(this.#parent)
      throw error
    }
    makePrivate(this.#fd)
    this.#mount = mountIdOf(this.#fd)
  }

  get fd(): number {
    return this.#fd
  }

  /** The mount that it lies on: names can be moved only within one. */
  get mount(): number {
    return this.#mount
  }

  /** A path for system calls on one name in it. */
  path(name: string): Buffer {
    return Buffer.from(`/proc/self/fd/${this.#fd}/${name}`)
  }

  /** A name in it that was never used. */
  newName(): Buffer {
    return Buffer.from(String(this.#count++))
  }

  /** A path for system calls on a name in it that was never used. */
  newPath(): Buffer {
    return this.path(String(this.#count++))
  }

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    try {
      emptyFolder(this.#fd)
      rmdirSync(this.#path)
    } finally {
      closeSync(this.#fd)
      closeSync(this.#parent)
    }
  }

  get #path(): string {
    return inProc(this.#parent, this.#name)
  }
}

function makeLocked(parent: number): { name: string; fd: number } {
  for (;;) {
    const name = prefix + randomBytes(8).toString('hex')
    const path = inProc(parent, name)
    mkdirSync(path, { mode: 0o700 })
    const fd = findLocked(path)
    if (fd !== undefined) return { name, fd }
  }
}

// Undefined when another took it for abandoned before it was locked.
function findLocked(path: string): number | undefined {
  let fd: number
  try {
    fd = openSync(path, folderFlags)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
  if (!hasNativeCalls()) return fd
  try {
    if (tryLock(fd, 'exclusive') && isStillThere(path, fd)) return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
  closeSync(fd)
  return undefined
}

function isStillThere(path: string, fd: number): boolean {
  const there = statSync(path, { bigint: true, throwIfNoEntry: false })
  const open = fstatSync(fd, { bigint: true })
  return there?.ino === open.ino && there.dev === open.dev
}

function inProc(folder: number, name = '.'): string {
  return `/proc/self/fd/${folder}/${name}`
}

// The folder around it may hand down a group, the set-gid bit and access lists; then what
// is made here would have more than its header says.
function makePrivate(fd: number): void {
  const gid = process.getegid?.()
  const { uid, gid: present } = fstatSync(fd)
  if (gid !== undefined && present !== gid) {
    try {
      fchownSync(fd, uid, gid)
    } catch (error) {
      if (!isErrno(error, 'EPERM', 'EINVAL')) throw error
    }
  }
  fchmodSync(fd, 0o700)
  if (!hasNativeCalls()) return
  for (const key of listXattrs(fd)) {
    if (key.toString('latin1').startsWith('system.posix_acl_')) {
      removeXattr(Buffer.from(`/proc/self/fd/${fd}/.`), key)
    }
  }
}
