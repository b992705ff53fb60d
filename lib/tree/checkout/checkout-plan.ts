import {
  InvalidObjectError,
  LimitExceededError,
  NotRepresentableError,
} from '../../errors.js'
import type { Digest } from '../../object/digest.js'
import type { DirectoryEntry } from '../../object/directory.js'
import type { HardLinkGroup } from '../../object/hard-links.js'
import type { Header } from '../../object/header.js'
import { getApplication } from '../../store/typed-object.js'
import { resolveEntryKind } from '../entry-kind.js'
import {
  checkHardLinks,
  checkTimes,
  countEntries,
  type EntriesBelow,
  ordinalOfPath,
} from '../entry-ordinals.js'
import { locate } from '../located-error.js'
import { rootEntry, type TreeNode } from '../tree-path.js'
import type { TreeReader } from '../tree-reader.js'
import { surveyTree } from '../tree-survey.js'
import { maxOwnerId, type OwnerMap } from './owner-map.js'

/** What to check out: an application, or what lies at a path inside it. */
export type TreeRoot = {
  readonly application: Digest
  readonly path?: Uint8Array | undefined
}

/** How many entries a tree claims to have, more or less: to be told before it is read. */
export function claimedEntries({ entry }: TreeNode): number {
  return entry.kind === 'directory'
    ? 1 + Math.ceil(entry.directory.subObjectCount / 2)
    : 1
}

/** Everything about a checkout that is known before the first byte is written. */
export type CheckoutPlan = {
  readonly node: TreeNode
  /** Entries, the root counted in. */
  readonly entries: number
  /** Bytes of all payloads that will be written, holes not taken off. */
  readonly bytes: bigint
  /** Ordinal of the first entry. */
  readonly start: number
  /** Entries below each directory of what is checked out. */
  readonly below: EntriesBelow
  readonly hardLinks: readonly HardLinkGroup[]
  readonly modificationTimes: Buffer | undefined
}

/** What a plan is checked against. */
export type PlanOptions = {
  readonly maxEntries: number
  readonly ownerMap: OwnerMap | undefined
  readonly signal: AbortSignal | undefined
}

/**
 * Reads all of a tree but its files, and refuses what could not be checked out whole.
 *
 * Throws LimitExceededError for more entries than allowed, before reading them where the
 * tree's own totals tell.
 */
export async function planCheckout(
  tree: TreeReader,
  node: TreeNode,
  options: PlanOptions,
): Promise<CheckoutPlan> {
  const application = await getApplication(tree.objects, node.application)
  const { hardLinks = [], modificationTimes } = application.extension ?? {}
  const whole = rootEntry(application)
  // Every entry is one or two references, so half of the references is the least.
  checkCount(claimedEntries(node), options.maxEntries)

  const check = (entry: DirectoryEntry, header: Header): void => {
    resolveEntryKind(entry, header)
    checkOwner(header, options.ownerMap)
  }
  const path = () => node.path
  locate(path, () => check(node.entry, node.header))
  let below: EntriesBelow = new Map()
  if (node.entry.kind === 'directory') {
    const survey = { check, signal: options.signal, start: node.path }
    below = (await surveyTree(tree, node.entry.directory, survey)).entriesBelow
  }
  const entries = countEntries(node.entry, below)
  checkCount(entries, options.maxEntries)

  const bytes = totalBytes(node.entry)
  const plain = { node, entries, bytes, start: 0, below, hardLinks, modificationTimes }
  if (hardLinks.length === 0 && modificationTimes === undefined) return plain
  if (node.path.length > 0) {
    const survey = { check: resolveEntryKind, signal: options.signal }
    below = (await surveyTree(tree, whole.directory, survey)).entriesBelow
  }
  if (modificationTimes !== undefined) {
    checkTimes(modificationTimes, countEntries(whole, below))
  }
  const again = await checkHardLinks(tree, whole, hardLinks, below)
  const start = await ordinalOfPath(tree, whole, node.path, entry =>
    countEntries(entry, below),
  )
  return {
    ...plain,
    start,
    below,
    bytes: bytes - repeatedBytes(again, hardLinks, start, entries),
  }
}

// Content of a group is written once inside the part that is checked out.
function repeatedBytes(
  sizes: ReadonlyMap<number, number>,
  groups: readonly HardLinkGroup[],
  start: number,
  entries: number,
): bigint {
  let bytes = 0n
  for (const group of groups) {
    const inside = group.filter(at => at >= start && at < start + entries)
    for (const ordinal of inside.slice(1)) bytes += BigInt(sizes.get(ordinal) ?? 0)
  }
  return bytes
}

function totalBytes(entry: DirectoryEntry): bigint {
  if (entry.kind === 'directory') return entry.directory.subObjectsSize
  return entry.kind === 'regular' ? BigInt(entry.file.size) : 0n
}

function checkCount(entries: number, maxEntries: number): void {
  if (entries <= maxEntries) return
  throw new LimitExceededError(
    `the tree is too large to be checked out: expected at most ${maxEntries} entries, ` +
      `found at least ${entries}`,
    { expected: maxEntries, found: entries },
  )
}

function checkOwner(header: Header, map: OwnerMap | undefined): void {
  // The kernel takes this id for "leave the owner alone": it would pass unseen.
  if (header.uid > maxOwnerId || header.gid > maxOwnerId) {
    throw new InvalidObjectError(
      `an owner is no id: expected at most ${maxOwnerId}, found ${header.uid}:${header.gid}`,
      { uid: header.uid, gid: header.gid },
    )
  }
  if (map === undefined) return
  if (map.findUid(header.uid) === undefined) throw unmapped('user', header.uid)
  if (map.findGid(header.gid) === undefined) throw unmapped('group', header.gid)
}

function unmapped(what: string, id: number): NotRepresentableError {
  return new NotRepresentableError(`no owner rule covers ${what} id ${id}`, { what, id })
}
