import { InvalidObjectError } from '../errors.js'
import type { Digest } from '../object/digest.js'
import { type DirectoryEntry, type DirectoryLink, totalsOf } from '../object/directory.js'
import type { DirectoryView } from '../object/directory-view.js'
import type { Header } from '../object/header.js'
import type { EntriesBelow } from './entry-ordinals.js'
import { digestOfError, locate, locatedError } from './located-error.js'
import { showPath } from './shown-path.js'
import type { TreeReader } from './tree-reader.js'

/** What a survey found below one directory. */
export type TreeSurvey = {
  /** Entries below each distinct directory, itself not counted. */
  readonly entriesBelow: EntriesBelow
}

/** How a survey is made. */
export type SurveyOptions = {
  /** Looks at one entry of each distinct directory; what it throws gets the path. */
  readonly check: (entry: DirectoryEntry, header: Header) => void
  readonly signal?: AbortSignal | undefined
  /** Path of the directory inside the application, for messages. */
  readonly start?: Buffer
  /** What another survey found: directories that it counted are not read again. */
  readonly counted?: EntriesBelow | undefined
}

type Node = {
  readonly link: DirectoryLink
  readonly name: Buffer
  readonly parent: Node | undefined
  readonly children: Node[]
  entries: number
  // Entries of the whole subtree; undefined until all children have theirs.
  below: number | undefined
}

const batchCount = 256
const batchBytes = 1024 * 1024

/**
 * Reads every distinct directory and header below a directory once, and nothing else.
 *
 * Whatever can be known to be wrong with a tree before its files are read is found here:
 * missing or invalid objects, links and totals that lie. When it returns, the totals in
 * every link are exact, so a walk cannot meet more than they say. Throws
 * InvalidObjectError, IncompleteClosureError with the path, and what `check` throws.
 */
export async function surveyTree(
  tree: TreeReader,
  root: DirectoryLink,
  options: SurveyOptions,
): Promise<TreeSurvey> {
  const nodes = new Map<Digest, Node>()
  const queue: Node[] = []
  const visit = (link: DirectoryLink, name: Buffer, parent: Node | undefined): Node => {
    const known = nodes.get(link.digest)
    if (known !== undefined) {
      if (!sameClaims(known.link, link)) throw lyingLink(pathTo(parent, name), link)
      return known
    }
    const below = options.counted?.get(link.digest)
    const node = { link, name, parent, children: [], entries: 0, below }
    nodes.set(link.digest, node)
    if (below === undefined) queue.push(node)
    return node
  }

  const top = visit(root, options.start ?? Buffer.alloc(0), undefined)
  for (let at = 0; at < queue.length; ) {
    options.signal?.throwIfAborted()
    const batch = nextBatch(queue, at)
    at += batch.length
    const directories = await reading(batch, () =>
      tree.directories(batch.map(node => node.link)),
    )
    for (const [index, node] of batch.entries()) {
      const directory = directories[index]
      if (directory === undefined) throw new Error('a reader answered for no directory')
      checkTotals(node, directory)
      await checkEntries(tree, node, directory, options.check)
      node.entries = directory.length
      for (const entry of directory) {
        if (entry.kind !== 'directory') continue
        node.children.push(visit(entry.directory, entry.name, node))
      }
    }
  }
  if (top.below === undefined) countBelow(top)
  const entriesBelow = new Map(options.counted)
  for (const [digest, { below = 0 }] of nodes) entriesBelow.set(digest, below)
  return { entriesBelow }
}

function nextBatch(queue: readonly Node[], start: number): Node[] {
  let bytes = 0
  let end = start
  while (end < queue.length && end - start < batchCount) {
    bytes += queue[end]?.link.size ?? 0
    if (bytes > batchBytes && end > start) break
    end++
  }
  return queue.slice(start, end)
}

async function checkEntries(
  tree: TreeReader,
  node: Node,
  directory: DirectoryView,
  check: SurveyOptions['check'],
): Promise<void> {
  for (let start = 0; start < directory.length; start += batchCount * 16) {
    const entries = directory.slice(start, start + batchCount * 16)
    const headers = await readHeaders(tree, node, entries)
    for (const [index, entry] of entries.entries()) {
      const header = headers[index]
      if (header === undefined) throw new Error('a reader answered for no header')
      locate(
        () => pathTo(node, entry.name),
        () => check(entry, header),
      )
    }
  }
}

async function readHeaders(
  tree: TreeReader,
  node: Node,
  entries: readonly DirectoryEntry[],
): Promise<readonly Header[]> {
  try {
    return await tree.headers(entries.map(entry => entry.header))
  } catch (error) {
    const entry = entries.find(({ header }) => header.digest === digestOfError(error))
    if (entry === undefined) throw error
    throw locatedError(error, () => pathTo(node, entry.name))
  }
}

async function reading<T>(batch: readonly Node[], read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    const node = batch.find(({ link }) => link.digest === digestOfError(error))
    if (node === undefined) throw error
    throw locatedError(error, () => pathTo(node.parent, node.name))
  }
}

function checkTotals(node: Node, directory: DirectoryView): void {
  const path = () => pathTo(node.parent, node.name)
  const { subObjectCount, subObjectsSize } = totalsOf(directory)
  const { link } = node
  if (subObjectCount !== link.subObjectCount || subObjectsSize !== link.subObjectsSize) {
    throw new InvalidObjectError(
      `${showPath(path())} has wrong totals: expected ${link.subObjectCount} and ` +
        `${link.subObjectsSize} as its link says, found ${subObjectCount} and ${subObjectsSize}`,
      { path: showPath(path()), digest: link.digest },
    )
  }
}

function sameClaims(one: DirectoryLink, other: DirectoryLink): boolean {
  return (
    one.size === other.size &&
    one.subObjectCount === other.subObjectCount &&
    one.subObjectsSize === other.subObjectsSize
  )
}

function lyingLink(path: Buffer, link: DirectoryLink): InvalidObjectError {
  return new InvalidObjectError(
    `${showPath(path)} has another size or other totals than another link to the same ` +
      `directory ${link.digest}`,
    { path: showPath(path), digest: link.digest },
  )
}

function pathTo(parent: Node | undefined, name: Buffer): Buffer {
  const names: Buffer[] = [name]
  for (let node = parent; node !== undefined; node = node.parent) names.push(node.name)
  // The root's own name is empty: it leaves a slash in front.
  return joinReversed(names)
}

function joinReversed(names: readonly Buffer[]): Buffer {
  const slash = Buffer.from('/')
  const parts = names
    .toReversed()
    .flatMap((name, at) => (at === 0 ? [name] : [slash, name]))
  const path = Buffer.concat(parts)
  return path[0] === 0x2f ? path.subarray(1) : path
}

// Post-order without recursion: a tree may be deeper than the call stack.
function countBelow(top: Node): void {
  const stack: { node: Node; next: number }[] = [{ node: top, next: 0 }]
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const { node } = frame
    const child = node.children[frame.next++]
    if (child === undefined) {
      let below = node.entries
      for (const { below: inner } of node.children) below += inner ?? 0
      node.below = below
      stack.pop()
    } else if (child.below === undefined) stack.push({ node: child, next: 0 })
  }
}
