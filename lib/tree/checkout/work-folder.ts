import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  rmdirSync,
} from 'node:fs'
import { isErrno } from '../../system/errno.js'
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
 * A private folder (0700) in which entries are made before they get their place.
 *
 * It is addressed through its descriptor, so nobody can put another in its stead.
 * Disposing removes it with all that is in it.
 */
export class WorkFolder implements Disposable {
  readonly #parent: number
  readonly #name: string
  readonly #fd: number
  readonly #mount: number
  #count = 0
  #closed = false

  /** Makes one in a folder, which need not stay open; throws the system's error. */
  constructor(parent: number) {
    this.#name = prefix + randomBytes(8).toString('hex')
    this.#parent = openSync(`/proc/self/fd/${parent}`, constants.O_RDONLY)
    try {
      mkdirSync(this.#path, { mode: 0o700 })
      this.#fd = openSync(this.#path, folderFlags)
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
    return `/proc/self/fd/${this.#parent}/${this.#name}`
  }
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
