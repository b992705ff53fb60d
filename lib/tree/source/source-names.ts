import { readdirSync } from 'node:fs'
import { type FolderEntry, readFolder } from '../../system/read-folder.js'

/** A name in a folder, and what it named when the folder was listed. */
export type SourceName = FolderEntry

/**
 * Lists a folder in stored order: folders first, then all others, each by name bytes.
 *
 * @param fd - the folder, open and not read from
 */
export function readNames(path: Buffer, fd: number): readonly SourceName[] {
  const entries = readFolder(fd) ?? listByPath(path)
  return entries.toSorted(compareNames)
}

function listByPath(path: Buffer): FolderEntry[] {
  const entries = readdirSync(path, { withFileTypes: true, encoding: 'buffer' })
  return entries.map(entry => {
    if (entry.isDirectory()) return { name: entry.name, kind: 'directory' }
    return { name: entry.name, kind: entry.isFile() ? 'regular' : 'other' }
  })
}

function compareNames(one: SourceName, other: SourceName): number {
  return rankOf(one) - rankOf(other) || Buffer.compare(one.name, other.name)
}

function rankOf({ kind }: SourceName): number {
  return kind === 'directory' ? 0 : 1
}
