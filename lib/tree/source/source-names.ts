import { readdirSync } from 'node:fs'

/** A name in a folder, and what it named when the folder was listed. */
export type SourceName = {
  readonly name: Buffer
  readonly kind: 'directory' | 'regular' | 'other'
}

/** Lists a folder in stored order: folders first, then all others, each by name bytes. */
export function readNames(path: Buffer): readonly SourceName[] {
  const folders: SourceName[] = []
  const others: SourceName[] = []
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'buffer' })) {
    const { name } = entry
    if (entry.isDirectory()) folders.push({ name, kind: 'directory' })
    else others.push({ name, kind: entry.isFile() ? 'regular' : 'other' })
  }
  return [...folders.toSorted(compareNames), ...others.toSorted(compareNames)]
}

function compareNames(one: SourceName, other: SourceName): number {
  return Buffer.compare(one.name, other.name)
}
