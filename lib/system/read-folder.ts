import { endianness } from 'node:os'
import { findFunction } from './libc.js'

/** A name in a folder, and what it named when the folder was listed. */
export type FolderEntry = {
  readonly name: Buffer
  readonly kind: 'directory' | 'regular' | 'other'
}

// Places in struct linux_dirent64.
const place = { length: 16, type: 18, name: 19 } as const
const unknownType = 0
const kinds: ReadonlyMap<number, FolderEntry['kind']> = new Map([
  [4, 'directory'],
  [8, 'regular'],
])
const room = Buffer.allocUnsafeSlow(64 * 1024)
const dot = 0x2e

/**
 * Lists an open folder that has not been read from, in the system's order, without `.` and
 * `..`. Names of one piece of the list share their memory.
 *
 * Undefined when the system cannot tell kinds or fails: node:fs then has the answer, or the
 * reason.
 */
export function readFolder(fd: number): FolderEntry[] | undefined {
  const getdents64 = findFunction<[number, Buffer, number]>(
    'int64_t getdents64(int fd, void *to, size_t size)',
  )
  if (getdents64 === undefined || endianness() !== 'LE') return undefined
  const entries: FolderEntry[] = []
  for (;;) {
    const length = getdents64(fd, room, room.length)
    if (length === 0) return entries
    if (length < 0 || !addEntries(Buffer.from(room.subarray(0, length)), entries)) {
      return undefined
    }
  }
}

function addEntries(list: Buffer, entries: FolderEntry[]): boolean {
  for (let at = 0; at < list.length; at += list.readUInt16LE(at + place.length)) {
    const type = list[at + place.type] ?? unknownType
    if (type === unknownType) return false
    const start = at + place.name
    const name = list.subarray(start, list.indexOf(0, start))
    if (isOwn(name)) continue
    entries.push({ name, kind: kinds.get(type) ?? 'other' })
  }
  return true
}

function isOwn(name: Buffer): boolean {
  if (name[0] !== dot || name.length > 2) return false
  return name.length === 1 || name[1] === dot
}
