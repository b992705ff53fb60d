import {
  chmodSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lchownSync,
  lutimesSync,
} from 'node:fs'
import { type EntryKind, permissionsOf } from '../../object/file-mode.js'
import type { Header, Xattr } from '../../object/header.js'
import type { ModificationTime } from '../../object/modification-times.js'
import { isErrno } from '../../system/errno.js'
import { setModificationTime } from '../../system/file-times.js'
import { hasNativeCalls } from '../../system/libc.js'
import { listXattrs, removeXattr, setXattr } from '../../system/xattr.js'
import { type LeftOutKind, type LeftOutList, xattrKind } from './left-out.js'
import type { OwnerMap } from './owner-map.js'

/** What is to be said of one entry on disk. */
export type EntryMetadata = {
  readonly kind: EntryKind
  readonly header: Header
  readonly time: ModificationTime | undefined
  /** Its path inside the tree, for reports. */
  readonly path: () => Buffer
}

const userNamespace = Buffer.from('user.')
const setuid = 0o4000
const setgid = 0o2000

/**
 * Gives entries their owner, mode, extended attributes and times, in that order, as far
 * as this process may; the rest goes on the list of what was left out.
 *
 * The order matters: chown(2) clears set-id bits and capabilities, and a mode can take
 * away the right to set `user.` attributes, so only these go before it.
 */
export class MetadataWriter {
  readonly #leftOut: LeftOutList
  readonly #ownerMap: OwnerMap | undefined
  readonly #uid = process.geteuid?.() ?? -1
  readonly #gid = process.getegid?.() ?? -1
  readonly #groups = new Set([this.#gid, ...(process.getgroups?.() ?? [])])
  readonly #native = hasNativeCalls()
  #mayChown = true
  readonly #refusedXattrs = new Set<LeftOutKind>()

  constructor(leftOut: LeftOutList, ownerMap: OwnerMap | undefined) {
    this.#leftOut = leftOut
    this.#ownerMap = ownerMap
  }

  /**
   * Finishes an entry that this process has just made, with its own ids as owner.
   *
   * @param target - an open file or folder, or the path of a name in a private folder
   */
  finish(target: Buffer | number, entry: EntryMetadata): void {
    this.#write(target, entry, { uid: this.#uid, gid: this.#gid })
  }

  /** Makes a folder that was there before what the tree says it is. */
  finishExisting(folder: number, entry: EntryMetadata): void {
    this.#removeOtherXattrs(folder, entry)
    this.#write(folder, entry, fstatSync(folder))
  }

  #write(
    target: Buffer | number,
    entry: EntryMetadata,
    owner: { readonly uid: number; readonly gid: number },
  ): void {
    const { kind, header, time } = entry
    const lost = this.#setOwner(target, entry, owner)
    for (const xattr of header.xattrs) {
      if (isUser(xattr)) this.#setXattr(target, xattr, entry)
    }
    if (kind !== 'symlink') {
      const permissions = permissionsOf(header.mode)
      if ((permissions & lost) !== 0) this.#leftOut.add('set-id', entry.path)
      if (typeof target === 'number') fchmodSync(target, permissions & ~lost)
      else chmodSync(target, permissions & ~lost)
    }
    for (const xattr of header.xattrs) {
      if (!isUser(xattr)) this.#setXattr(target, xattr, entry)
    }
    if (time !== undefined) this.#setTime(target, time, entry)
  }

  // Returns the set-id bits that would speak of another owner than meant.
  #setOwner(
    target: Buffer | number,
    { header, path }: EntryMetadata,
    present: { readonly uid: number; readonly gid: number },
  ): number {
    const uid = this.#ownerMap?.findUid(header.uid) ?? header.uid
    const gid = this.#ownerMap?.findGid(header.gid) ?? header.gid
    if (uid === present.uid && gid === present.gid) return 0
    if (this.#mayChown && this.#chown(target, uid, gid)) return 0
    const groupKept =
      gid === present.gid ||
      (this.#groups.has(gid) && this.#chown(target, present.uid, gid))
    if (groupKept && uid === present.uid) return 0
    this.#leftOut.add('owner', path)
    return (uid === present.uid ? 0 : setuid) | (groupKept ? 0 : setgid)
  }

  #chown(target: Buffer | number, uid: number, gid: number): boolean {
    try {
      if (typeof target === 'number') fchownSync(target, uid, gid)
      else lchownSync(target, uid, gid)
      return true
    } catch (error) {
      // EINVAL is the answer inside a user namespace that does not know the id.
      if (!isErrno(error, 'EPERM', 'EINVAL')) throw error
      if (this.#uid !== 0) this.#mayChown = false
      return false
    }
  }

  #setXattr(target: Buffer | number, xattr: Xattr, { path }: EntryMetadata): void {
    const kind = xattrKind(xattr.key)
    if (!this.#native || this.#refusedXattrs.has(kind)) {
      this.#leftOut.add(kind, path)
      return
    }
    try {
      setXattr(target, xattr.key, xattr.value)
    } catch (error) {
      if (!isErrno(error, 'EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP')) throw error
      // Who may not set one of these may set none: the next calls can be spared.
      if (kind === 'trusted-xattr') this.#refusedXattrs.add(kind)
      this.#leftOut.add(kind, path)
    }
  }

  #removeOtherXattrs(folder: number, { header, path }: EntryMetadata): void {
    if (!this.#native) return
    for (const key of listXattrs(folder)) {
      if (header.xattrs.some(xattr => xattr.key.equals(key))) continue
      try {
        removeXattr(Buffer.from(`/proc/self/fd/${folder}/.`), key)
      } catch (error) {
        if (isErrno(error, 'ENODATA')) continue
        if (!isErrno(error, 'EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP')) throw error
        this.#leftOut.add(xattrKind(key), path)
      }
    }
  }

  #setTime(
    target: Buffer | number,
    time: ModificationTime,
    { path }: EntryMetadata,
  ): void {
    if (this.#native) {
      setModificationTime(target, time.seconds, time.nanoseconds)
      return
    }
    const seconds = Number(time.seconds)
    if (time.nanoseconds !== 0) this.#leftOut.add('nanoseconds', path)
    if (typeof target === 'number') futimesSync(target, seconds, seconds)
    else lutimesSync(target, seconds, seconds)
  }
}

function isUser({ key }: Xattr): boolean {
  return key.subarray(0, userNamespace.length).equals(userNamespace)
}
