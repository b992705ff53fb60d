import {
  chmodSync,
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs'
import { DestinationRefusedError } from '../../errors.js'
import { DirectoryDescent } from '../../system/directory-descent.js'
import { isErrno } from '../../system/errno.js'
import { mountIdOf } from '../../system/mount-id.js'

// O_PATH of Linux, which node:fs does not name.
const pathOnly = 0o10000000
const dot = Buffer.from('.')

/**
 * Removes a file or a whole folder, however deep; nothing when it is absent.
 *
 * Never follows a link, and never goes into another mount: DestinationRefusedError.
 * `checkpoint` is called before each entry, and may throw to leave the rest.
 */
export function removeTree(path: string | Buffer, checkpoint = (): void => {}): void {
  try {
    unlinkSync(path)
    return
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return
    if (!isErrno(error, 'EISDIR', 'EPERM')) throw error
  }
  makeSearchable(Buffer.from(path))
  const fd = openSync(
    path,
    constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
  )
  try {
    emptyFolder(fd, checkpoint)
  } finally {
    closeSync(fd)
  }
  rmdirSync(path)
}

/** Removes everything in an open folder, as removeTree does. */
export function emptyFolder(folder: number, checkpoint = (): void => {}): void {
  const mount = mountIdOf(folder)
  using descent = new DirectoryDescent(`/proc/self/fd/${folder}`)
  const levels: Buffer[][] = [removeFiles(descent, checkpoint)]
  const names: Buffer[] = []
  for (let folders = levels.at(-1); folders !== undefined; folders = levels.at(-1)) {
    const name = folders.pop()
    if (name !== undefined) {
      enter(descent, name, mount)
      names.push(name)
      levels.push(removeFiles(descent, checkpoint))
      continue
    }
    levels.pop()
    const done = names.pop()
    if (done === undefined) return
    descent.leave()
    rmdirSync(descent.path(done))
  }
}

function enter(descent: DirectoryDescent, name: Buffer, mount: number): void {
  makeSearchable(descent.path(name))
  descent.enter(name)
  if (mountIdOf(descent.fd) !== mount) {
    throw new DestinationRefusedError(
      'a folder that is to be removed has something mounted in it',
    )
  }
}

// Removes all but folders, whose names it returns.
function removeFiles(descent: DirectoryDescent, checkpoint: () => void): Buffer[] {
  const folders: Buffer[] = []
  const entries: Dirent<Buffer>[] = readdirSync(descent.path(dot), {
    encoding: 'buffer',
    withFileTypes: true,
  })
  for (const entry of entries) {
    checkpoint()
    if (entry.isDirectory()) folders.push(entry.name)
    else unlinkSync(descent.path(entry.name))
  }
  return folders
}

/**
 * Gives the owner of a folder back the right to go into it. Another's folder, or what is
 * no folder, is left as it is: the call that needs it fails by itself.
 */
export function makeSearchable(path: Buffer): void {
  if (process.geteuid?.() === 0) return
  let fd: number
  try {
    fd = openSync(path, pathOnly | constants.O_NOFOLLOW | constants.O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'ELOOP', 'ENOENT')) return
    throw error
  }
  try {
    const { mode, uid } = fstatSync(fd)
    if ((mode & 0o700) === 0o700 || uid !== process.geteuid?.()) return
    // chmod through the descriptor's link reaches exactly this inode; fchmod refuses O_PATH.
    chmodSync(`/proc/self/fd/${fd}`, (mode & 0o7777) | 0o700)
  } finally {
    closeSync(fd)
  }
}
