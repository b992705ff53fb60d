import { type BigIntStats, readlinkSync } from 'node:fs'
import type { Xattr } from '../../object/header.js'
import { ContentComparison } from '../content-comparison.js'

/** One side of a comparison of two entries on disk. */
export type DiskEntry = {
  readonly stat: BigIntStats
  readonly path: Buffer
  readonly xattrs: readonly Xattr[]
}

const second = 1_000_000_000n

/**
 * Whether two entries are the same by containerd's rule: type, mode, owner, device,
 * attributes, and for what is no folder size and modification time.
 *
 * Contents are compared only where both times are whole seconds, which an archive or an
 * old filesystem may have cut.
 *
 * @param folderTimes - whether times count for folders, too
 */
export function isSameEntry(
  one: DiskEntry,
  other: DiskEntry,
  { folderTimes }: { readonly folderTimes: boolean },
): boolean {
  const { stat: a } = one
  const { stat: b } = other
  if (a.dev === b.dev && a.ino === b.ino) return true
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false
  const isDevice = a.isBlockDevice() || a.isCharacterDevice()
  if (isDevice && a.rdev !== b.rdev) return false
  if (!sameXattrs(one.xattrs, other.xattrs)) return false
  if (a.isDirectory()) return !folderTimes || a.mtimeNs === b.mtimeNs
  if (a.size !== b.size || a.mtimeNs !== b.mtimeNs) return false
  if (a.isSymbolicLink()) return readLink(one).equals(readLink(other))
  if (!a.isFile() || a.size === 0n || a.mtimeNs % second !== 0n) return true
  return new ContentComparison().isSame(one.path, other.path)
}

function readLink({ path }: DiskEntry): Buffer {
  return readlinkSync(path, { encoding: 'buffer' })
}

function sameXattrs(one: readonly Xattr[], other: readonly Xattr[]): boolean {
  if (one.length !== other.length) return false
  return one.every(({ key, value }, at) => {
    const pair = other[at]
    return pair !== undefined && pair.key.equals(key) && pair.value.equals(value)
  })
}
