import { readdirSync } from 'node:fs'
import { type FolderEntry, readFolder } from '../../system/read-folder.js'

/** A name in a folder, and what it named when the folder was listed. */
export type SourceName = FolderEntry

/** What is in a folder, in stored order: folders first, then all others, each by name bytes. */
export type SourceNames = {
  readonly length: number
  /** Bytes of all names, or some more. */
  readonly nameBytes: number
  at(index: number): SourceName | undefined
}

/**
 * Lists a folder.
 *
 * @param fd - the folder, open and not read from
 */
export function readNames(path: Buffer, fd: number): SourceNames {
  const list = readFolder(fd)
  if (list === undefined) return listByPath(path)
  list.sort()
  return list
}

function listByPath(path: Buffer): SourceNames {
  const entries = readdirSync(path, { withFileTypes: true, encoding: 'buffer' })
  const names = entries.map((entry): SourceName => {
    if (entry.isDirectory()) return { name: entry.name, kind: 'directory' }
    return { name: entry.name, kind: entry.isFile() ? 'regular' : 'other' }
  })
  const sorted = names.toSorted(compareNames)
  const nameBytes = names.reduce((sum, { name }) => sum + name.length, 0)
  return { length: names.length, nameBytes, at: index => sorted[index] }
}

function compareNames(one: SourceName, other: SourceName): number {
  return rankOf(one) - rankOf(other) || Buffer.compare(one.name, other.name)
}

function rankOf({ kind }: SourceName): number {
  return kind === 'directory' ? 0 : 1
}
