import {
  type BigIntStats,
  closeSync,
  constants,
  openSync,
  readlinkSync,
  readSync,
} from 'node:fs'
import type { Xattr } from '../../object/header.js'

/** One side of a comparison of two entries on disk. */
export type DiskEntry = {
  readonly stat: BigIntStats
  readonly path: Buffer
  readonly xattrs: readonly Xattr[]
}

const second = 1_000_000_000n
const chunkBytes = 256 * 1024
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

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
  return sameContents(one.path, other.path)
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

function sameContents(one: Buffer, other: Buffer): boolean {
  const first = openSync(one, openFlags)
  try {
    const last = openSync(other, openFlags)
    try {
      const left = Buffer.allocUnsafe(chunkBytes)
      const right = Buffer.allocUnsafe(chunkBytes)
      for (;;) {
        const length = fill(first, left)
        if (fill(last, right) !== length) return false
        if (!left.subarray(0, length).equals(right.subarray(0, length))) return false
        if (length < chunkBytes) return true
      }
    } finally {
      closeSync(last)
    }
  } finally {
    closeSync(first)
  }
}

function fill(fd: number, buffer: Buffer): number {
  let length = 0
  while (length < buffer.length) {
    const read = readSync(fd, buffer, length, buffer.length - length, null)
    if (read === 0) break
    length += read
  }
  return length
}
