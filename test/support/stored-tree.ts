import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { Application } from '../../lib/object/application.js'
import { compareEntries, type DirectoryEntry } from '../../lib/object/directory.js'
import { escapeBytes } from '../../lib/object/escape.js'
import type { Header } from '../../lib/object/header.js'
import { MemoryStore } from '../../lib/store/memory-store.js'
import type { ObjectReader, StoreSession } from '../../lib/store/object-store.js'
import { getApplication, getDirectory, getHeader } from '../../lib/store/typed-object.js'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import type { StoredTree, StoreOptions } from '../../lib/tree/source/store-options.js'

/** One entry of a stored tree; `ordinal` is its position in walk order. */
export type ListedEntry = {
  readonly ordinal: number
  readonly entry: DirectoryEntry
  readonly header: Header
}

/** A folder stored in memory, and published. */
export type MemoryTree = StoredTree & {
  readonly store: MemoryStore
  readonly application: Application
  /** By escaped path below the root. */
  readonly entries: ReadonlyMap<string, ListedEntry>
}

/** Stores a folder in a new memory store with algorithm 5, and lists what came out. */
export async function storeInMemory(
  folder: string | Buffer,
  options: StoreOptions = {},
): Promise<MemoryTree> {
  const store = new MemoryStore()
  await using session = await beginInMemory(store)
  const stored = await storeApplication(folder, session, options)
  await session.publish([stored.descriptor.digest])
  const application = await getApplication(store, stored.descriptor.digest)
  const entries = await listEntries(store, application)
  return { ...stored, store, application, entries }
}

/** Starts a session with algorithm 5 in a memory store. */
export async function beginInMemory(store = new MemoryStore()): Promise<StoreSession> {
  const algorithm = findAlgorithmByName('sha512-256')
  if (algorithm === undefined) throw new Error('no algorithm sha512-256')
  return store.begin({ algorithm, folder: '', publishing: 'whole' })
}

/** Lists every entry below the root of an application, in walk order. */
export async function listEntries(
  reader: ObjectReader,
  { rootDirectory }: Application,
): Promise<ReadonlyMap<string, ListedEntry>> {
  const entries = new Map<string, ListedEntry>()
  const load = async (path: string, digest: typeof rootDirectory.digest) => {
    const directory = await getDirectory(reader, digest)
    return directory
      .toSorted((one, other) => -compareEntries(one, other))
      .map(entry => ({
        path:
          path === '' ? escapeBytes(entry.name) : `${path}/${escapeBytes(entry.name)}`,
        entry,
      }))
  }
  // The next entry in walk order lies on top.
  const stack = await load('', rootDirectory.digest)
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { path, entry } = next
    const header = await getHeader(reader, entry.header.digest)
    entries.set(path, { ordinal: entries.size + 1, entry, header })
    if (entry.kind === 'directory') {
      stack.push(...(await load(path, entry.directory.digest)))
    }
  }
  return entries
}

/** Reads the content of a stored file whole. */
export async function readContent(
  reader: ObjectReader,
  entry: DirectoryEntry | undefined,
): Promise<Buffer> {
  if (entry?.kind !== 'regular') throw new Error('no regular file')
  await using stream = await reader.open(entry.file.digest)
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
