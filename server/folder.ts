import { lstatSync } from 'node:fs'
import { isErrno } from '../lib/system/errno.js'

/** A folder, and what tells it from another of the same name. */
export type Folder = {
  readonly place: string
  readonly dev: number
  readonly ino: number
}

/** The folder at a place; undefined for a link, another kind of file, or nothing. */
export function findFolderAt(place: string): Folder | undefined {
  try {
    const stats = lstatSync(place)
    return stats.isDirectory() ? { place, dev: stats.dev, ino: stats.ino } : undefined
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined
    throw error
  }
}
