import type { ObjectLink, SubObjectTotals } from '../../object/descriptor.js'
import type { DirectoryEntry } from '../../object/directory.js'
import { DirectoryEncoder } from '../../object/directory-encoder.js'
import type { SourceNames } from './source-names.js'
import type { SourceFolder } from './source-place.js'

/** An object that waits in a batch; `link` is there once it is stored. */
export type Slot = { link: ObjectLink | undefined }

/** As Slot; `totals` are there before `link` is. */
export type DirectorySlot = Slot & { totals: SubObjectTotals | undefined }

/** A regular file, but for its name. */
export type RegularContent = {
  readonly kind: 'regular'
  readonly header: Slot
  readonly file: Slot
}

/** What an entry is, but for its name, with objects that may still wait in a batch. */
export type PendingContent =
  | RegularContent
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

/** An entry whose objects may still wait; until they are stored it may become another. */
export type WaitingEntry = { readonly name: Buffer; content: PendingContent }

// So many entries wait before it is seen which of them are known by now.
const waitingEntries = 2048

/** A directory whose entries are known, or becoming so: those that are, are encoded. */
export class PendingDirectory {
  readonly folder: SourceFolder
  readonly slot: DirectorySlot = { link: undefined, totals: undefined }
  readonly #encoder: DirectoryEncoder
  #waiting: WaitingEntry[] = []
  #enough = waitingEntries

  constructor(folder: SourceFolder, names: SourceNames) {
    this.folder = folder
    const { length, nameBytes } = names
    this.#encoder = new DirectoryEncoder({ entries: length, nameBytes })
  }

  add(name: Buffer, content: PendingContent): WaitingEntry {
    if (this.#waiting.length >= this.#enough) this.#settle()
    const entry = { name, content }
    this.#waiting.push(entry)
    return entry
  }

  /** The directory, once every object that its entries name is stored; else undefined. */
  findDirectory(): DirectoryEncoder | undefined {
    this.#settle()
    return this.#waiting.length === 0 ? this.#encoder : undefined
  }

  #settle(): void {
    let known = 0
    for (const { name, content } of this.#waiting) {
      const entry = findEntry(name, content)
      if (entry === undefined) break
      this.#encoder.add(entry)
      known += 1
    }
    if (known > 0) this.#waiting = this.#waiting.slice(known)
    // Looking at those that wait long again and again would cost more than they take.
    this.#enough = Math.max(waitingEntries, 2 * this.#waiting.length)
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
