import { endianness } from 'node:os'
import { findFunction } from './libc.js'

/** What names a filesystem, here and after the next start of this machine. */
export type FilesystemId = { readonly low: number; readonly high: number }

// By the magic numbers of statfs(2): where an inode number is a file's for its life, and
// its ctime moves with each change, in steps finer than a second.
const tmpfs = 0x01021994
const steady: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, tmpfs])

// Places in struct statfs of 64-bit Linux.
const place = { type: 0, id: 56 } as const
const structBytes = 256

/**
 * Finds the id of the filesystem that holds an open file; undefined for one whose inode
 * numbers do not stay, that has no id, or is not among those that are known to be good:
 * ext2 to ext4, xfs, btrfs and tmpfs.
 */
export function findSteadyFilesystem(fd: number): FilesystemId | undefined {
  const fstatfs = findFunction<[number, Buffer]>('int fstatfs(int fd, void *to)')
  if (fstatfs === undefined || !hasKnownStruct()) return undefined
  const found = Buffer.alloc(structBytes)
  if (fstatfs(fd, found) !== 0) return undefined
  const type = Number(found.readBigUInt64LE(place.type))
  const low = found.readUInt32LE(place.id)
  const high = found.readUInt32LE(place.id + 4)
  if (!steady.has(type) || (low === 0 && high === 0)) return undefined
  return { low, high }
}

function hasKnownStruct(): boolean {
  return endianness() === 'LE' && (process.arch === 'x64' || process.arch === 'arm64')
}
