import { statfsSync } from 'node:fs'
import {
  DestinationRefusedError,
  NativeUnavailableError,
  StorageFullError,
} from '../../errors.js'
import type { ObjectReader } from '../../store/object-store.js'
import { hasProcFolder } from '../../system/directory-descent.js'
import { resolveTreePath } from '../tree-path.js'
import { TreeReader } from '../tree-reader.js'
import { Destination } from './checkout-destination.js'
import {
  type CheckoutPlan,
  claimedEntries,
  type PlanOptions,
  planCheckout,
  type TreeRoot,
} from './checkout-plan.js'
import { CheckoutRun } from './checkout-run.js'
import { startMakers } from './file-makers.js'
import type { LeftOut } from './left-out.js'
import type { OwnerMap } from './owner-map.js'
import type { RecordBook } from './update/record-book.js'

/** How a tree is checked out. */
export type CheckoutOptions = {
  /** Merges into a folder that is not empty; what the tree does not name stays. */
  readonly force?: boolean | undefined
  /** Other owners than the tree's; an id that it does not know is an error. */
  readonly ownerMap?: OwnerMap | undefined
  /** One modification time for everything, in seconds since 1970-01-01 UTC. */
  readonly touchSeconds?: bigint | undefined
  /** Makes the result durable before it returns. */
  readonly fsync?: boolean | undefined
  /**
   * Whether files that share their extents with the store, where the filesystem can, are
   * verified as copied ones are; true unless given.
   */
  readonly verifyClones?: boolean | undefined
  /** Remembers the folder, so that it can be updated. */
  readonly memory?: CheckoutMemory | undefined
  /** Threads beside the caller's that make files; as many as are worth it unless given. */
  readonly workers?: number | undefined
  /**
   * Whether free space is compared with the tree's size first; true unless given. Sparse
   * files count in full there. A merge never compares, as it replaces one by one.
   */
  readonly checkSpace?: boolean | undefined
  /** Larger trees are refused; 100 million unless given. */
  readonly maxEntries?: number | undefined
  readonly onProgress?: ((progress: CheckoutProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What remembers checkouts. */
export type CheckoutMemory = {
  readonly book: RecordBook
  /** What names the owner map and the one time, if any: updates need the same. */
  readonly manner: string
  /** Told when a finished checkout could not be remembered. */
  readonly onProblem: (error: unknown) => void
}

/** How far a checkout is. */
export type CheckoutProgress = {
  readonly entries: number
  readonly files: number
  readonly bytes: number
  readonly totalEntries: number
  readonly totalBytes: bigint
}

/** What a checkout did. */
export type CheckoutReport = {
  /** Entries made, the root counted in. */
  readonly entries: number
  /** Regular files written; a further name of a hard-linked file is none. */
  readonly files: number
  readonly bytes: number
  /** What this user or platform could not restore; empty when all is as in the tree. */
  readonly leftOut: readonly LeftOut[]
}

const defaultMaxEntries = 100_000_000

/**
 * Makes a stored tree, or the part at a path inside it, a filesystem tree again.
 *
 * A destination that is absent or an empty folder is built aside and renamed into place:
 * after a failure or an abort it is as before. With `force`, a filled folder is merged
 * into entry by entry; after a failure some entries are new and the others old, and a
 * repetition finishes it. A part that is no folder becomes the destination itself.
 *
 * Throws DestinationRefusedError, StorageFullError, LimitExceededError, PathNotFoundError,
 * InvalidObjectError or IncompleteClosureError with the path, CorruptObjectError,
 * NotRepresentableError for an owner that no rule covers, and the signal's reason.
 */
export async function checkout(
  reader: ObjectReader,
  root: TreeRoot,
  destination: string,
  options: CheckoutOptions = {},
): Promise<CheckoutReport> {
  using target = openDestination(destination)
  const { force = false } = options
  const merges = target.state === 'filled' || target.state === 'other'
  if (merges && !force) throw notEmpty(destination, target.state)

  const tree = new TreeReader(reader, { strictness: 'strict' })
  const node = await resolveTreePath(reader, root.application, root.path)
  // The threads start while the tree is read.
  await using makers = startMakers(reader, options, claimedEntries(node))
  const plan = await planCheckout(tree, node, planOptions(options))
  const isFolder = node.entry.kind === 'directory'
  if (target.state === 'other' ? isFolder : target.exists && !isFolder) {
    throw wrongKind(destination, isFolder)
  }
  if (!merges && options.checkSpace !== false) checkSpace(plan, target)
  const run = new CheckoutRun(tree, plan, options)
  return await run.finish(async () => {
    if (!isFolder) await run.makeEntry(target)
    else if (merges) await run.merge(target, makers)
    else await run.build(target, makers)
  })
}

/**
 * Brings a folder that a tree was checked out to before to another tree, touching only
 * what differs; the result is as a fresh checkout would be.
 *
 * What is in the folder and in neither tree stays, and so does, without `force`, what was
 * changed locally and is the same in both trees. Without a record of the folder, what is
 * there is compared with the tree by content. Entries are replaced one by one: after a
 * failure some are new and the others old, and a repetition finishes it.
 *
 * Throws LocalChangesError, before anything is changed, when local changes would be lost,
 * unless `force` is given; otherwise as checkout does.
 */
export async function updateCheckout(
  reader: ObjectReader,
  root: TreeRoot,
  destination: string,
  options: CheckoutOptions = {},
): Promise<CheckoutReport> {
  using target = openDestination(destination)
  if (!target.exists) throw nothingToUpdate(destination)
  const tree = new TreeReader(reader, { strictness: 'strict' })
  const node = await resolveTreePath(reader, root.application, root.path)
  const plan = await planCheckout(tree, node, planOptions(options))
  if (plan.node.entry.kind !== 'directory') throw wrongKind(destination, false)
  const run = new CheckoutRun(tree, plan, options)
  return await run.finish(async () => run.update(target))
}

function openDestination(path: string): Destination {
  if (hasProcFolder()) return new Destination(path)
  throw new NativeUnavailableError(
    'checkout needs the proc filesystem, and it is not mounted at /proc',
    { call: 'openat' },
  )
}

function planOptions(options: CheckoutOptions): PlanOptions {
  const { maxEntries = defaultMaxEntries, ownerMap, signal } = options
  return { maxEntries, ownerMap, signal }
}

function checkSpace(plan: CheckoutPlan, target: Destination): void {
  const path = `/proc/self/fd/${target.filesystem}/.`
  const { bsize, bfree, bavail, files, ffree } = statfsSync(path, { bigint: true })
  const free = bsize * (process.geteuid?.() === 0 ? bfree : bavail)
  if (plan.bytes > free) {
    throw new StorageFullError(
      `the tree does not fit: expected ${plan.bytes} bytes free, found ${free}`,
      { expected: String(plan.bytes), found: String(free) },
    )
  }
  // Filesystems that make inodes as needed count none.
  if (files > 0n && BigInt(plan.entries) > ffree) {
    throw new StorageFullError(
      `the tree does not fit: expected ${plan.entries} inodes free, found ${ffree}`,
      { expected: plan.entries, found: String(ffree) },
    )
  }
}

function notEmpty(path: string, state: string): DestinationRefusedError {
  const found = state === 'filled' ? 'a folder with entries' : 'no folder'
  return new DestinationRefusedError(
    `cannot check out to ${JSON.stringify(path)}: expected nothing or an empty folder, found ${found}`,
    { path, found },
  )
}

function nothingToUpdate(path: string): DestinationRefusedError {
  return new DestinationRefusedError(
    `cannot update ${JSON.stringify(path)}: expected a folder, found none`,
    { path },
  )
}

function wrongKind(path: string, isFolder: boolean): DestinationRefusedError {
  const [expected, found] = isFolder ? ['a folder', 'a file'] : ['a file', 'a folder']
  return new DestinationRefusedError(
    `cannot check out to ${JSON.stringify(path)}: expected ${expected} there, found ${found}`,
    { path, expected, found },
  )
}
