import type { Application } from '../../object/application.js'
import type { ObjectLink } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { DirectoryEntry } from '../../object/directory.js'
import type { DirectoryView } from '../../object/directory-view.js'
import type { ObjectReader } from '../../store/object-store.js'
import { getApplication } from '../../store/typed-object.js'
import { planCheckout } from '../checkout/checkout-plan.js'
import { WalkCursor } from '../checkout/walk-cursor.js'
import { resolveEntryKind } from '../entry-kind.js'
import { resolveTreePath, rootEntry } from '../tree-path.js'
import { TreeReader } from '../tree-reader.js'
import { type EntryTable, rootEntryNumber } from './entry-table.js'
import { noTime } from './tree-member.js'

/** An application in a store. */
export type BaseTree = { readonly reader: ObjectReader; readonly application: Digest }

const maxHeaders = 65_536

/**
 * Puts every entry of a stored tree into a table; throws as planCheckout does for a tree
 * that is not whole or contradicts itself. Returns what else the application says.
 */
export async function loadStoredTree(
  table: EntryTable,
  { reader, application }: BaseTree,
  signal: AbortSignal | undefined,
): Promise<Application> {
  const tree = new TreeReader(reader, { strictness: 'strict' })
  const maxEntries = table.maxEntries
  const plan = await planCheckout(tree, await resolveTreePath(reader, application), {
    maxEntries,
    signal,
    ownerMap: undefined,
  })
  const found = await getApplication(reader, application)
  const cursor = new WalkCursor(0, plan.modificationTimes, undefined)
  const loading = new TreeLoading(table, tree, cursor, firstOfGroups(plan.hardLinks))
  await loading.root(rootEntry(found))
  const frames = [
    {
      number: rootEntryNumber,
      directory: await tree.directory(found.rootDirectory),
      index: 0,
    },
  ]
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    signal?.throwIfAborted()
    const entries = nextEntries(frame.directory, frame.index)
    if (entries.length === 0) {
      frames.pop()
      continue
    }
    frame.index += entries.length
    const last = await loading.add(frame.number, entries)
    const entry = entries.at(-1)
    if (entry?.kind === 'directory') {
      frames.push({
        number: last,
        directory: await tree.directory(entry.directory),
        index: 0,
      })
    }
  }
  return found
}

class TreeLoading {
  readonly #table: EntryTable
  readonly #tree: TreeReader
  readonly #cursor: WalkCursor
  readonly #firsts: ReadonlyMap<number, number>
  readonly #numbers = new Map<number, number>()
  readonly #headers = new Map<Digest, number>()

  constructor(
    table: EntryTable,
    tree: TreeReader,
    cursor: WalkCursor,
    firsts: ReadonlyMap<number, number>,
  ) {
    this.#table = table
    this.#tree = tree
    this.#cursor = cursor
    this.#firsts = firsts
  }

  async root(entry: DirectoryEntry): Promise<void> {
    const { time = noTime } = this.#cursor.next()
    this.#table.setHeader(rootEntryNumber, this.#header(entry.header))
    this.#table.setTime(rootEntryNumber, time)
  }

  /** Adds entries of a folder; tells the number of the last one. */
  async add(folder: number, entries: readonly DirectoryEntry[]): Promise<number> {
    const headers = await this.#tree.headers(entries.map(entry => entry.header))
    let number = 0
    for (const [at, entry] of entries.entries()) {
      const header = headers[at]
      if (header === undefined) throw new Error('a reader answered for no header')
      const { ordinal, time = noTime } = this.#cursor.next()
      const first = this.#firsts.get(ordinal)
      const target = first === undefined ? undefined : this.#numbers.get(first)
      if (target !== undefined) {
        number = this.#table.link(folder, entry.name, target)
        continue
      }
      number = this.#table.add(folder, entry.name, resolveEntryKind(entry, header))
      if (first !== undefined) this.#numbers.set(first, number)
      this.#table.setHeader(number, this.#header(entry.header))
      this.#table.setTime(number, time)
      if (entry.kind === 'regular') this.#table.setFile(number, entry.file)
      if (entry.kind === 'symlink') this.#table.setTarget(number, entry.target)
    }
    return number
  }

  #header(link: ObjectLink): number {
    const known = this.#headers.get(link.digest)
    if (known !== undefined) return known
    const header = this.#table.addHeader()
    this.#table.setHeaderLink(header, link)
    if (this.#headers.size >= maxHeaders) this.#headers.clear()
    this.#headers.set(link.digest, header)
    return header
  }
}

// For each member of a group of names, the first one.
function firstOfGroups(groups: readonly (readonly number[])[]): Map<number, number> {
  const firsts = new Map<number, number>()
  for (const group of groups) {
    for (const ordinal of group) firsts.set(ordinal, group[0] ?? ordinal)
  }
  return firsts
}

const batchEntries = 1024

// Up to and with the next folder, which has to be gone into.
function nextEntries(directory: DirectoryView, start: number): readonly DirectoryEntry[] {
  if (directory.at(start)?.kind === 'directory') return directory.slice(start, start + 1)
  return directory.slice(start, start + batchEntries)
}
