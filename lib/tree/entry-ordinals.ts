import { InvalidObjectError } from '../errors.js'
import type { Digest } from '../object/digest.js'
import type { DirectoryEntry } from '../object/directory.js'
import type { DirectoryView } from '../object/directory-view.js'
import type { HardLinkGroup } from '../object/hard-links.js'
import { PathTrail } from './path-trail.js'
import { showPath } from './shown-path.js'
import { splitTreePath } from './tree-path.js'
import type { TreeReader } from './tree-reader.js'

/** Entries below each distinct directory, itself not counted. */
export type EntriesBelow = ReadonlyMap<Digest, number>

type RootEntry = DirectoryEntry & { readonly kind: 'directory' }

/** How many entries stand from this one to the end of its subtree. */
export function countEntries(entry: DirectoryEntry, below: EntriesBelow): number {
  if (entry.kind !== 'directory') return 1
  const inner = below.get(entry.directory.digest)
  if (inner === undefined)
    throw new Error(`directory ${entry.directory.digest} not counted`)
  return 1 + inner
}

/** The ordinal of the entry at a path that exists: its place in walk order, the root is 0. */
export async function ordinalOfPath(
  tree: TreeReader,
  root: RootEntry,
  path: Uint8Array,
  count: (entry: DirectoryEntry) => number,
): Promise<number> {
  let ordinal = 0
  let parent: DirectoryEntry = root
  for (const name of splitTreePath(path)) {
    if (parent.kind !== 'directory') throw new Error('a path leads through no folder')
    ordinal++
    let found: DirectoryEntry | undefined
    for (const entry of await tree.directory(parent.directory)) {
      found = entry
      if (entry.name.equals(name)) break
      ordinal += count(entry)
    }
    if (found === undefined) throw new Error('a path leads into an empty folder')
    parent = found
  }
  return ordinal
}

/** Checks that there are times for exactly the entries there are; throws InvalidObjectError. */
export function checkTimes(times: Uint8Array, entries: number): void {
  let numbers = 0
  // The last byte of each number is the one without its top bit; two make a time.
  for (const byte of times) if (byte < 0x80) numbers++
  if (numbers !== 2 * entries) {
    throw new InvalidObjectError(
      `invalid modification times: expected ${entries}, found ${numbers / 2}`,
      { what: 'modification times', expected: entries, found: numbers / 2 },
    )
  }
}

/**
 * Checks hard-link groups against the tree that they speak of; throws InvalidObjectError.
 *
 * All members must be entries of the tree, no folders, and equal but for their names.
 * Returns the content bytes of each member but the first of its group.
 */
export async function checkHardLinks(
  tree: TreeReader,
  root: RootEntry,
  groups: readonly HardLinkGroup[],
  below: EntriesBelow,
): Promise<Map<number, number>> {
  const wanted = groups.flatMap(group => [...group]).toSorted((one, other) => one - other)
  const entries = await findEntries(tree, root, wanted, below)
  const sizes = new Map<number, number>()
  for (const group of groups) {
    const [firstOrdinal = 0, ...others] = group
    const first = entries.get(firstOrdinal)
    for (const ordinal of others) {
      const other = entries.get(ordinal)
      if (first === undefined || other === undefined) {
        throw new Error('an entry of a hard-link group was not looked up')
      }
      checkEqual(first, other)
      sizes.set(ordinal, other.entry.kind === 'regular' ? other.entry.file.size : 0)
    }
  }
  return sizes
}

/** An entry that was looked up by its ordinal. */
export type FoundEntry = { readonly path: Buffer; readonly entry: DirectoryEntry }

/**
 * Looks entries that are no folders up by their ordinals, which ascend; throws
 * InvalidObjectError for a folder or an ordinal beyond the tree.
 *
 * One pass in walk order that goes only into folders which hold a wanted entry.
 */
export async function findEntries(
  tree: TreeReader,
  root: RootEntry,
  wanted: readonly number[],
  below: EntriesBelow,
): Promise<Map<number, FoundEntry>> {
  const last = wanted.at(-1)
  const total = countEntries(root, below)
  if (last !== undefined && last >= total) {
    throw invalid(`entry ${last} is beyond the tree, which has ${total}`)
  }
  const found = new Map<number, FoundEntry>()
  const trail = new PathTrail()
  let next = 0
  if (wanted[0] === 0) throw invalid('entry 0 is a folder')
  const stack: { directory: DirectoryView; index: number; ordinal: number }[] = []
  const enter = async (entry: RootEntry, ordinal: number): Promise<void> => {
    const directory = await tree.directory(entry.directory)
    stack.push({ directory, index: 0, ordinal: ordinal + 1 })
  }
  await enter(root, 0)
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const entry = frame.directory.at(frame.index++)
    const target = wanted[next]
    if (entry === undefined || target === undefined) {
      stack.pop()
      trail.leave()
      continue
    }
    const { ordinal } = frame
    frame.ordinal += countEntries(entry, below)
    if (target >= frame.ordinal) continue
    if (target === ordinal) {
      if (entry.kind === 'directory') {
        throw invalid(`entry ${ordinal} "${showPath(trail.at(entry.name))}" is a folder`)
      }
      found.set(ordinal, { path: trail.at(entry.name), entry })
      next++
    } else if (entry.kind === 'directory') {
      await enter(entry, ordinal)
      trail.enter(entry.name)
    }
  }
  return found
}

function checkEqual(one: FoundEntry, other: FoundEntry): void {
  if (
    one.entry.kind === other.entry.kind &&
    one.entry.header.digest === other.entry.header.digest &&
    contentOf(one.entry) === contentOf(other.entry)
  ) {
    return
  }
  throw invalid(`"${showPath(one.path)}" and "${showPath(other.path)}" are not equal`)
}

function contentOf(entry: DirectoryEntry): string {
  if (entry.kind === 'regular') return `${entry.file.digest} ${entry.file.size}`
  return entry.kind === 'symlink' ? entry.target.toString('latin1') : ''
}

function invalid(problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid hard-link group: ${problem}`, {
    what: 'hard-link group',
  })
}
