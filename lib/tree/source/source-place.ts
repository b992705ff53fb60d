import { escapeBytes } from '../../object/escape.js'

const slash = Buffer.from('/')
const noBytes = Buffer.alloc(0)

/** A folder on the way from the source to what is being stored. */
export type SourceFolder = {
  /** Undefined for the outermost folder, whose name is the path the caller gave. */
  readonly parent: SourceFolder | undefined
  readonly name: Buffer
}

/** Where an entry is, for people. */
export type NamedPlace = {
  readonly folder: SourceFolder | undefined
  readonly name: Buffer
}

/** Where an entry is, for people and for system calls. */
export type SourcePlace = NamedPlace & {
  /** A path for system calls, good while the folder is the innermost one. */
  readonly path: Buffer
}

/** The path of a place as the caller knows it, escaped. */
export function showPlace(place: NamedPlace): string {
  const parts = [place.name]
  for (let folder = place.folder; folder !== undefined; folder = folder.parent) {
    parts.push(folder.name.at(-1) === slash[0] ? noBytes : slash, folder.name)
  }
  return escapeBytes(Buffer.concat(parts.toReversed()))
}

/** Where a folder itself is. */
export function placeOf(folder: SourceFolder): NamedPlace {
  return { folder: folder.parent, name: folder.name }
}
