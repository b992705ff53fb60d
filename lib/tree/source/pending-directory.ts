import type { ObjectLink, SubObjectTotals } from '../../object/descriptor.js'
import type { Directory, DirectoryEntry } from '../../object/directory.js'
import type { SourceFolder } from './source-place.js'

/** An object that waits in a batch; `link` is there once it is stored. */
export type Slot = { link: ObjectLink | undefined }

/** As Slot; `totals` are there before `link` is. */
export type DirectorySlot = Slot & { totals: SubObjectTotals | undefined }

/** What an entry is, but for its name, with objects that may still wait in a batch. */
export type PendingContent =
  | { readonly kind: 'regular'; readonly header: Slot; readonly file: Slot }
  | {
      readonly kind: 'directory'
      readonly header: Slot
      readonly directory: DirectorySlot
    }
  | { readonly kind: 'symlink'; readonly header: Slot; readonly target: Buffer }
  | {
      readonly kind: 'block-device' | 'char-device' | 'fifo' | 'socket'
      readonly header: Slot
    }

type WaitingEntry = { readonly name: Buffer; readonly content: PendingContent }

/** A directory whose entries are known, or becoming so. */
export class PendingDirectory {
  readonly folder: SourceFolder
  readonly slot: DirectorySlot = { link: undefined, totals: undefined }
  /** Entries whose objects may still wait, and in their place what has become of them. */
  readonly #entries: (WaitingEntry | DirectoryEntry)[] = []
  #known = 0

  constructor(folder: SourceFolder) {
    this.folder = folder
  }

  add(name: Buffer, content: PendingContent): void {
    this.#entries.push({ name, content })
  }

  /** The directory, once every object that its entries name is stored; else undefined. */
  findDirectory(): Directory | undefined {
    for (; this.#known < this.#entries.length; this.#known++) {
      const next = this.#entries[this.#known]
      if (next === undefined || 'kind' in next) continue
      const entry = findEntry(next.name, next.content)
      if (entry === undefined) return undefined
      this.#entries[this.#known] = entry
    }
    return this.#entries.filter(entry => 'kind' in entry)
  }
}

function findEntry(name: Buffer, content: PendingContent): DirectoryEntry | undefined {
  const header = content.header.link
  if (header === undefined) return undefined
  switch (content.kind) {
    case 'regular': {
      const file = content.file.link
      return file && { name, kind: 'regular', header, file }
    }
    case 'directory': {
      const { link, totals } = content.directory
      if (link === undefined || totals === undefined) return undefined
      return { name, kind: 'directory', header, directory: { ...link, ...totals } }
    }
    case 'symlink':
      return { name, kind: 'symlink', header, target: content.target }
    case 'block-device':
    case 'char-device':
    case 'fifo':
    case 'socket':
      return { name, kind: content.kind, header }
    default:
      return content satisfies never
  }
}
