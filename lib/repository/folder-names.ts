import { readdirSync } from 'node:fs'
import { isErrno } from '../system/errno.js'
import { named } from './system-failure.js'

/** The names in a folder, in byte order; none when there is no such folder. */
export function readFolderNames(folder: string): Buffer[] {
  try {
    return readdirSync(folder, { encoding: 'buffer' }).toSorted((one, other) =>
      Buffer.compare(one, other),
    )
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw named(error, 'list', folder)
  }
}

/** As readFolderNames, as text: for folders whose names are checked against a rule. */
export function readTextNames(folder: string): string[] {
  return readFolderNames(folder).map(name => name.toString('latin1'))
}
