import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats } from 'node:fs'
import { isErrno } from './errno.js'

/** Makes the error for what is no regular file; it is told what was found instead. */
export type Refusal = (found: string) => Error

/**
 * Opens a regular file: follows no link, and waits for nobody, as the opening of a fifo
 * would.
 *
 * Anything else is refused with the error that the caller makes; what else the system says
 * passes unchanged, ENOENT first of all.
 *
 * @param flags - O_NOFOLLOW, O_NONBLOCK and O_NOCTTY are added
 */
export function openRegularFile(path: string, flags: number, refuse: Refusal): number {
  const { O_NOCTTY, O_NOFOLLOW, O_NONBLOCK } = constants
  const all = flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
  return checkRegular(path, () => openSync(path, all, 0o600), refuse)
}

/** As openRegularFile, for a caller that has its own way to open, with these flags. */
export function checkRegular(path: string, open: () => number, refuse: Refusal): number {
  let fd: number
  try {
    fd = open()
  } catch (error) {
    const found = isErrno(error, 'ELOOP', 'ENXIO', 'ENODEV', 'EISDIR')
      ? findIrregular(path)
      : undefined
    throw found === undefined ? error : refuse(found)
  }
  try {
    const found = irregularKind(fstatSync(fd))
    if (found !== undefined) throw refuse(found)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** What lies at a path, in words, if that is no regular file; undefined for nothing. */
export function findIrregular(path: string): string | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats && irregularKind(stats)
}

/** What a file is, in words; undefined for a regular file. */
function irregularKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined
  if (stats.isDirectory()) return 'a folder'
  if (stats.isSymbolicLink()) return 'a symbolic link'
  if (stats.isFIFO()) return 'a fifo'
  if (stats.isSocket()) return 'a socket'
  return 'a device'
}
