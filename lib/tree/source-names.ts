import { readdirSync } from 'node:fs'

/** A name in a folder, and whether it was one of a folder when it was listed. */
export type SourceName = { readonly name: Buffer; readonly isDirectory: boolean }

/** Lists a folder in stored order: folders first, then all others, each by name bytes. */
export function readNames(path: Buffer): readonly SourceName[] {
  const folders: Buffer[] = []
  const others: Buffer[] = []
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'buffer' })) {
    if (entry.isDirectory()) folders.push(entry.name)
    else others.push(entry.name)
  }
  return [
    ...folders.toSorted(compareNames).map(name => ({ name, isDirectory: true })),
    ...others.toSorted(compareNames).map(name => ({ name, isDirectory: false })),
  ]
}

function compareNames(one: Buffer, other: Buffer): number {
  return Buffer.compare(one, other)
}
