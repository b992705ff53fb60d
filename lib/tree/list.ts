import { LimitExceededError } from '../errors.js'
import type { Digest } from '../object/digest.js'
import type { DirectoryEntry } from '../object/directory.js'
import type { DirectoryView } from '../object/directory-view.js'
import type { EntryKind } from '../object/file-mode.js'
import type { Header } from '../object/header.js'
import type { ObjectReader } from '../store/object-store.js'
import { resolveEntryKind } from './entry-kind.js'
import { locate } from './located-error.js'
import { PathTrail } from './path-trail.js'
import type { TreeNode } from './tree-path.js'
import { TreeReader } from './tree-reader.js'

/** One entry of a tree with everything that is said of it, its content apart. */
export type TreeEntry = {
  /** Inside the application, without a slash in front; empty for the root. */
  readonly path: Buffer
  readonly entry: DirectoryEntry
  readonly kind: EntryKind
  readonly header: Header
  /** Content bytes of a file, or all bytes below a folder; else undefined. */
  readonly size: bigint | undefined
  /** Content of a file, or what a folder holds; else undefined. */
  readonly object: Digest | undefined
  /** What a symlink points to. */
  readonly target: Buffer | undefined
}

/** How a tree is listed. */
export type ListOptions = {
  /** Lists also what is below the folders in it. */
  readonly recursive?: boolean | undefined
  /** A longer list ends with LimitExceededError; 100 million entries unless given. */
  readonly maxEntries?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const defaultMaxEntries = 100_000_000
const batchEntries = 1024

/**
 * Lists what is in a folder of a tree, in stored order, or the one entry that is no folder.
 *
 * A folder comes before what is in it. Memory holds one directory a level. Throws
 * ObjectNotFoundError, CorruptObjectError, InvalidObjectError with the path, and
 * LimitExceededError: a small tree can name more paths than any disk could hold.
 */
export async function* listTree(
  reader: ObjectReader,
  node: TreeNode,
  options: ListOptions = {},
): AsyncGenerator<readonly TreeEntry[], void, void> {
  const { recursive = false, maxEntries = defaultMaxEntries, signal } = options
  const tree = new TreeReader(reader, { strictness: 'tolerant' })
  if (node.entry.kind !== 'directory') {
    yield [describeEntry(node.path, node.entry, node.header)]
    return
  }
  const trail = new PathTrail(node.path)
  const root = await tree.directory(node.entry.directory)
  const frames: { directory: DirectoryView; index: number }[] = [
    { directory: root, index: 0 },
  ]
  let listed = 0
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    signal?.throwIfAborted()
    const entries = nextEntries(frame, { recursive })
    if (entries.length === 0) {
      frames.pop()
      trail.leave()
      continue
    }
    frame.index += entries.length
    listed += entries.length
    if (listed > maxEntries) throw tooLong(maxEntries)
    yield await describeEntries(tree, trail, entries)
    const last = entries.at(-1)
    if (recursive && last?.kind === 'directory') {
      frames.push({ directory: await tree.directory(last.directory), index: 0 })
      trail.enter(last.name)
    }
  }
}

// Up to and with the next folder that has to be gone into.
function nextEntries(
  { directory, index }: { directory: DirectoryView; index: number },
  { recursive }: { recursive: boolean },
): readonly DirectoryEntry[] {
  if (!recursive || directory.at(index)?.kind !== 'directory') {
    return directory.slice(index, index + batchEntries)
  }
  return directory.slice(index, index + 1)
}

/** Reads the headers of entries of one folder and says what the entries are. */
export async function describeEntries(
  tree: TreeReader,
  trail: PathTrail,
  entries: readonly DirectoryEntry[],
): Promise<TreeEntry[]> {
  const headers = await tree.headers(entries.map(entry => entry.header))
  return entries.map((entry, at) => {
    const header = headers[at]
    if (header === undefined) throw new Error('a reader answered for no header')
    return describeEntry(trail.at(entry.name), entry, header)
  })
}

/** What is said of one entry. */
export function describeNode({ path, entry, header }: TreeNode): TreeEntry {
  return describeEntry(path, entry, header)
}

function describeEntry(path: Buffer, entry: DirectoryEntry, header: Header): TreeEntry {
  const kind = locate(
    () => path,
    () => resolveEntryKind(entry, header),
  )
  const common = { path, entry, kind, header, target: undefined }
  switch (entry.kind) {
    case 'regular':
      return { ...common, size: BigInt(entry.file.size), object: entry.file.digest }
    case 'directory': {
      const { digest, subObjectsSize } = entry.directory
      return { ...common, size: subObjectsSize, object: digest }
    }
    case 'symlink':
      return { ...common, size: undefined, object: undefined, target: entry.target }
    case 'block-device':
    case 'char-device':
    case 'fifo':
    case 'socket':
    case 'unknown':
      return { ...common, size: undefined, object: undefined }
    default:
      return entry satisfies never
  }
}

function tooLong(maxEntries: number): LimitExceededError {
  return new LimitExceededError(
    `the tree has too many entries: expected at most ${maxEntries}`,
    { expected: maxEntries },
  )
}
