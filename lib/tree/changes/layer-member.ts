import { findNameProblem } from '../../object/entry-name.js'
import { type ArchivePlace, invalidArchive } from '../tar/archive-error.js'
import { splitArchivePath } from '../tar/archive-path.js'
import type { TarMember } from '../tar/tar-reader.js'
import { meaningOfName } from './whiteout-name.js'

type Common = {
  /** The names on the way to it, itself not. */
  readonly folder: readonly Buffer[]
  readonly place: ArchivePlace
}

/** What an entry of a layer means. */
export type LayerMember =
  | (Common & { readonly kind: 'entry' | 'opaque' | 'meta' })
  | (Common & { readonly kind: 'whiteout'; readonly name: Buffer })

/** Reads the path of a layer's entry; throws InvalidArchiveError for an impossible mark. */
export function readLayerMember({ entry, offset }: TarMember): LayerMember {
  const place = { offset, path: entry.path }
  const names = splitArchivePath(entry.path, place, 'path')
  const folder = names.slice(0, -1)
  const common = { folder, place }
  for (const name of folder) {
    const { kind } = meaningOfName(name)
    if (kind === 'meta') return { ...common, kind }
    if (kind !== 'entry') throw invalidArchive(place, 'a path leads through a mark')
  }
  const last = names.at(-1)
  if (last === undefined) return { ...common, kind: 'entry' }
  const meaning = meaningOfName(last)
  if (meaning.kind !== 'whiteout') return { ...common, kind: meaning.kind }
  const problem = findNameProblem(meaning.name)
  if (problem === undefined) return { ...common, kind: 'whiteout', name: meaning.name }
  throw invalidArchive(place, `the name that a mark takes away ${problem}`)
}
