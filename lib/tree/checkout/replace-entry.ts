import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  renameSync,
} from 'node:fs'
import { isErrno } from '../../system/errno.js'
import { removeTree } from './remove-tree.js'
import type { WorkFolder } from './work-folder.js'

/**
 * Moves a finished entry from a work folder to its place, over whatever is there.
 *
 * A file in the way is replaced in one step. Where a folder stands in the way of a file,
 * or the reverse, it is moved aside into the work folder first and removed afterwards.
 */
export function replaceEntry(from: Buffer, to: Buffer, work: WorkFolder): void {
  try {
    moveEntry(from, to)
    return
  } catch (error) {
    if (!isErrno(error, 'EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST')) throw error
  }
  const aside = work.newPath()
  moveEntry(to, aside)
  try {
    moveEntry(from, to)
  } catch (error) {
    moveEntry(aside, to)
    throw error
  }
  removeTree(aside)
}

/** Removes an entry with all that is in it, in one step for whoever looks. */
export function removeEntry(path: Buffer, work: WorkFolder): void {
  const aside = work.newPath()
  try {
    moveEntry(path, aside)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return
    throw error
  }
  removeTree(aside)
}

/** Renames an entry, also a folder that its owner may not write to. */
export function moveEntry(from: Buffer, to: Buffer): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (process.geteuid?.() === 0 || !isErrno(error, 'EACCES', 'EPERM')) throw error
    moveReadOnlyFolder(from, to, error)
  }
}

// A folder that gets another parent has its ".." changed, which takes the right to write.
function moveReadOnlyFolder(from: Buffer, to: Buffer, refused: unknown): void {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
  let fd: number
  try {
    fd = openSync(from, flags)
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'ELOOP', 'EACCES')) throw refused
    throw error
  }
  try {
    const mode = fstatSync(fd).mode & 0o7777
    if ((mode & 0o700) === 0o700) throw refused
    fchmodSync(fd, mode | 0o700)
    try {
      renameSync(from, to)
    } finally {
      fchmodSync(fd, mode)
    }
  } finally {
    closeSync(fd)
  }
}
