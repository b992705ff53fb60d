import type { ObjectLink } from '../../object/descriptor.js'
import {
  type Directory,
  type DirectoryEntry,
  type DirectoryLink,
  encodeDirectory,
  totalsOf,
} from '../../object/directory.js'
import type { HardLinkGroup } from '../../object/hard-links.js'
import { encodeHeader, type Header } from '../../object/header.js'
import { ModificationTimesEncoder } from '../../object/modification-times.js'
import type { StoreSession } from '../../store/object-store.js'
import { locate } from '../located-error.js'
import { type EntryTable, rootEntryNumber } from './entry-table.js'
import { LinkBatch } from './link-batch.js'

const maxHeaders = 8192

/** A tree that was put together, without the object that would name it. */
export type AssembledTree = {
  readonly rootHeader: ObjectLink
  readonly rootDirectory: DirectoryLink
  readonly hardLinks: readonly HardLinkGroup[]
  readonly modificationTimes: Buffer
  /** Entries, the root counted in, and regular files among them. */
  readonly entries: number
  readonly files: number
}

/** Stores the objects of a tree whose entries come in any order. */
export class TreeAssembly {
  readonly #table: EntryTable
  readonly #batch: LinkBatch
  readonly #headers = new Map<string, number>()

  constructor(table: EntryTable, session: StoreSession) {
    this.#table = table
    this.#batch = new LinkBatch(session)
  }

  /** Says what an entry is. */
  setHeader(number: number, header: Header): void {
    this.#table.setHeader(number, this.#addHeader(header))
  }

  /** Stores a small file as an entry's content; the bytes must not change before the next flush. */
  addFile(number: number, payload: Uint8Array): void {
    const table = this.#table
    this.#batch.add('file', payload, link => table.setFile(number, link))
  }

  /** Commits what waits, when there is enough of it. */
  async settle(): Promise<void> {
    if (this.#batch.isFull) await this.#batch.flush()
  }

  /** Stores all directories, children before parents, and says what the tree is. */
  async finish(signal: AbortSignal | undefined): Promise<AssembledTree> {
    await this.#batch.flush()
    // Whatever lies below a directory comes behind it in this order.
    const directories = listDirectories(this.#table)
    for (let at = directories.length - 1; at >= 0; at--) {
      signal?.throwIfAborted()
      await this.#storeDirectory(directories[at] ?? rootEntryNumber)
    }
    await this.#batch.flush()
    const rootDirectory = this.#table.findDirectory(rootEntryNumber)
    if (rootDirectory === undefined) throw new Error('the root was not stored')
    const rootHeader = this.#table.header(rootEntryNumber)
    return { rootHeader, rootDirectory, ...walkInOrder(this.#table) }
  }

  #addHeader(header: Header): number {
    const payload = encodeHeader(header)
    const key = payload.toString('latin1')
    const known = this.#headers.get(key)
    if (known !== undefined) return known
    const number = this.#table.addHeader()
    this.#batch.add('header', payload, link => this.#table.setHeaderLink(number, link))
    // Attributes are rarely shared, and long as a key.
    if (header.xattrs.length > 0) return number
    if (this.#headers.size >= maxHeaders) this.#headers.clear()
    this.#headers.set(key, number)
    return number
  }

  async #storeDirectory(directory: number): Promise<void> {
    const table = this.#table
    const children = sortChildren(table, directory)
    const isWaiting = children.some(
      child =>
        table.kind(child) === 'directory' && table.findDirectory(child) === undefined,
    )
    if (isWaiting || this.#batch.isFull) await this.#batch.flush()
    locate(
      () => table.path(directory),
      () => {
        const entries: Directory = children.map(child => entryOf(table, child))
        const totals = totalsOf(entries)
        this.#batch.add('directory', encodeDirectory(entries), link =>
          table.setDirectory(directory, { ...link, ...totals }),
        )
      },
    )
  }
}

function listDirectories(table: EntryTable): number[] {
  const found: number[] = []
  const stack = [rootEntryNumber]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    found.push(next)
    for (const child of table.children(next)) {
      if (table.kind(child) === 'directory') stack.push(child)
    }
  }
  return found
}

// Brings what is in a directory into stored order.
function sortChildren(table: EntryTable, directory: number): readonly number[] {
  const folders: number[] = []
  const others: number[] = []
  for (const child of table.children(directory)) {
    if (table.kind(child) === 'directory') folders.push(child)
    else others.push(child)
  }
  const byName = (one: number, other: number): number =>
    Buffer.compare(table.name(one), table.name(other))
  const sorted = [...folders.toSorted(byName), ...others.toSorted(byName)]
  table.setChildren(directory, sorted)
  return sorted
}

function entryOf(table: EntryTable, number: number): DirectoryEntry {
  const common = { name: table.name(number), header: table.header(number) }
  const kind = table.kind(number)
  switch (kind) {
    case 'regular':
      return { ...common, kind, file: table.file(number) }
    case 'symlink':
      return { ...common, kind, target: table.target(number) }
    case 'directory': {
      const directory = table.findDirectory(number)
      if (directory === undefined) throw new Error('a directory was not stored yet')
      return { ...common, kind, directory }
    }
    case 'block-device':
    case 'char-device':
    case 'fifo':
    case 'socket':
      return { ...common, kind }
    default:
      return kind satisfies never
  }
}

// Every directory is in stored order by now, and holds only what is there.
function walkInOrder(
  table: EntryTable,
): Omit<AssembledTree, 'rootHeader' | 'rootDirectory'> {
  const times = new ModificationTimesEncoder()
  const groups = new Map<number, number[]>()
  let entries = 0
  let files = 0
  for (let number = rootEntryNumber; ; ) {
    const kind = table.kind(number)
    times.add(table.time(number))
    if (kind === 'regular') files++
    if (table.isLinked(number)) {
      const inode = table.inode(number)
      const group = groups.get(inode)
      if (group === undefined) groups.set(inode, [entries])
      else group.push(entries)
    }
    entries++
    const child = kind === 'directory' ? table.firstChild(number) : 0
    if (child !== 0) {
      number = child
      continue
    }
    while (number !== rootEntryNumber && table.nextSibling(number) === 0) {
      number = table.parent(number)
    }
    if (number === rootEntryNumber) break
    number = table.nextSibling(number)
  }
  const hardLinks = [...groups.values()].filter(group => group.length > 1)
  return { hardLinks, modificationTimes: times.finish(), entries, files }
}
