import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readlinkSync,
  readSync,
} from 'node:fs'
import { algorithmOf, type Digest } from '../../../object/digest.js'
import { createObjectDigester } from '../../../object/digester.js'
import { findKindOfStat, permissionsOf } from '../../../object/file-mode.js'
import type { Header } from '../../../object/header.js'
import type { ModificationTime } from '../../../object/modification-times.js'
import { hasNativeCalls } from '../../../system/libc.js'
import { findXattr, listXattrs } from '../../../system/xattr.js'
import { resolveEntryKind } from '../../entry-kind.js'
import type { Placed } from '../../pair-by-name.js'
import type { OwnerMap } from '../owner-map.js'
import type { ClockSpan } from './checkout-record.js'
import type { TreeVersion } from './tree-version.js'

const fileFlags =
  constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY
const roomBytes = 1024 * 1024

/** An entry on disk. */
export type DiskEntry = { readonly path: Buffer; readonly stats: BigIntStats }

/** Compares entries on disk with those of trees. */
export class EntryMatcher {
  readonly #spans: readonly ClockSpan[]
  readonly #ownerMap: OwnerMap | undefined
  readonly #isRoot = process.geteuid?.() === 0
  readonly #signal: AbortSignal | undefined
  #room: Buffer | undefined

  /** @param spans - when checkouts changed what is compared */
  constructor(
    spans: readonly ClockSpan[],
    options: {
      readonly ownerMap: OwnerMap | undefined
      readonly signal: AbortSignal | undefined
    },
  ) {
    this.#spans = spans
    this.#ownerMap = options.ownerMap
    this.#signal = options.signal
  }

  /** Whether the last change of an entry was a checkout's. */
  isOurs({ ctimeNs }: BigIntStats): boolean {
    return this.#spans.some(({ start, end }) => ctimeNs >= start && ctimeNs < end)
  }

  /**
   * Whether an entry that is no folder is as a tree has it.
   *
   * @param trust - whether a file of the right size that only checkouts changed is right
   */
  async matches(
    version: TreeVersion,
    { entry, ordinal }: Placed,
    disk: DiskEntry,
    trust: boolean,
  ): Promise<boolean> {
    const { stats, path } = disk
    const header = await version.tree.header(entry.header)
    const kind = resolveEntryKind(entry, header)
    if (findKindOfStat(Number(stats.mode)) !== kind) return false
    if (entry.kind === 'regular') {
      if (stats.size !== BigInt(entry.file.size)) return false
      if (trust && this.isOurs(stats)) return true
    }
    if (entry.kind === 'symlink') {
      const target = readlinkSync(path, { encoding: 'buffer' })
      if (!target.equals(entry.target)) return false
    }
    const isDevice = kind === 'block-device' || kind === 'char-device'
    if (isDevice && Number(BigInt.asUintN(32, stats.rdev)) !== header.rdev) return false
    if (!this.hasMetadata(header, version.findTime(ordinal), disk)) return false
    return entry.kind !== 'regular' || this.#hasContent(entry.file.digest, path)
  }

  /** Whether an entry has the mode, owner, attributes and time that it would get. */
  hasMetadata(
    header: Header,
    time: ModificationTime | undefined,
    { stats, path }: DiskEntry,
  ): boolean {
    const isLink = stats.isSymbolicLink()
    const permissions = Number(stats.mode & 0o7777n)
    if (!isLink && permissions !== permissionsOf(header.mode)) return false
    if (this.#isRoot && !this.#hasOwner(header, stats)) return false
    if (time !== undefined) {
      const wanted = time.seconds * 1_000_000_000n + BigInt(time.nanoseconds)
      if (stats.mtimeNs !== wanted) return false
    }
    return this.#hasXattrs(header, path)
  }

  #hasOwner(header: Header, stats: BigIntStats): boolean {
    const uid = this.#ownerMap?.findUid(header.uid) ?? header.uid
    const gid = this.#ownerMap?.findGid(header.gid) ?? header.gid
    return stats.uid === BigInt(uid) && stats.gid === BigInt(gid)
  }

  // Others than root may see and set those of users only.
  #hasXattrs({ xattrs }: Header, path: Buffer): boolean {
    if (!hasNativeCalls()) return true
    const counts = (key: Buffer): boolean =>
      this.#isRoot || key.toString('latin1').startsWith('user.')
    const wanted = xattrs.filter(({ key }) => counts(key))
    const found = listXattrs(path).filter(counts)
    if (found.length !== wanted.length) return false
    return wanted.every(({ key, value }) => findXattr(path, key)?.equals(value) === true)
  }

  #hasContent(digest: Digest, path: Buffer): boolean {
    const room = (this.#room ??= Buffer.allocUnsafeSlow(roomBytes))
    const fd = openSync(path, fileFlags)
    try {
      if (!fstatSync(fd).isFile()) return false
      const digester = createObjectDigester(algorithmOf(digest), 'file')
      for (;;) {
        this.#signal?.throwIfAborted()
        const length = readSync(fd, room)
        if (length === 0) return digester.digest() === digest
        digester.update(room.subarray(0, length))
      }
    } finally {
      closeSync(fd)
    }
  }
}
