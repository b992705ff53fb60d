import { fsyncSync, mkdirSync, statfsSync } from 'node:fs'
import {
  DestinationRefusedError,
  NativeUnavailableError,
  StorageFullError,
} from '../../errors.js'
import type { DirectoryEntry } from '../../object/directory.js'
import type { ObjectReader } from '../../store/object-store.js'
import { DirectoryDescent, hasProcFolder } from '../../system/directory-descent.js'
import { FileMaker } from '../../system/file-maker.js'
import { hasNativeCalls } from '../../system/libc.js'
import { syncFilesystem } from '../../system/sync.js'
import { TreeReader } from '../tree-reader.js'
import { BatchCrew, workersFor } from './batch-crew.js'
import { Destination } from './checkout-destination.js'
import { type CheckoutPlan, planCheckout, type TreeRoot } from './checkout-plan.js'
import { type CheckoutCount, CheckoutWalk } from './checkout-walk.js'
import { EntryMaker } from './entry-maker.js'
import { AttributePlanner } from './file-attributes.js'
import { type LeftOut, LeftOutList } from './left-out.js'
import { LinkStash } from './link-stash.js'
import { MetadataWriter } from './metadata-writer.js'
import type { OrdinaryFileTools } from './ordinary-files.js'
import type { OwnerMap } from './owner-map.js'
import { makeSearchable } from './remove-tree.js'
import { replaceEntry } from './replace-entry.js'
import { WalkCursor } from './walk-cursor.js'
import { WorkFolder } from './work-folder.js'
import { writingError } from './writing-error.js'

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
// Larger files are copied with progress, and can be stopped.
const maxBytes = 64 * 1024 * 1024

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
  if (!hasProcFolder()) {
    throw new NativeUnavailableError(
      'checkout needs the proc filesystem, and it is not mounted at /proc',
      { call: 'openat' },
    )
  }
  using target = new Destination(destination)
  const { maxEntries = defaultMaxEntries, ownerMap, signal, force = false } = options
  const merges = target.state === 'filled' || target.state === 'other'
  if (merges && !force) throw notEmpty(destination, target.state)

  const tree = new TreeReader(reader, { strictness: 'strict' })
  const plan = await planCheckout(tree, root, { maxEntries, ownerMap, signal })
  const isFolder = plan.node.entry.kind === 'directory'
  if (target.state === 'other' ? isFolder : target.exists && !isFolder) {
    throw wrongKind(destination, isFolder)
  }
  if (!merges && options.checkSpace !== false) checkSpace(plan, target)
  const run = new CheckoutRun(tree, plan, options)
  try {
    if (!isFolder) await run.makeEntry(target)
    else if (merges) await run.merge(target)
    else await run.build(target)
  } catch (error) {
    throw writingError(error, () => plan.node.path)
  }
  return run.report()
}

class CheckoutRun {
  readonly #tree: TreeReader
  readonly #plan: CheckoutPlan
  readonly #options: CheckoutOptions
  readonly #leftOut = new LeftOutList()
  readonly #metadata: MetadataWriter
  #count: CheckoutCount = { entries: 0, files: 0, bytes: 0 }

  constructor(tree: TreeReader, plan: CheckoutPlan, options: CheckoutOptions) {
    this.#tree = tree
    this.#plan = plan
    this.#options = options
    this.#metadata = new MetadataWriter(this.#leftOut, options.ownerMap)
  }

  /** Makes the whole tree aside, then gives it its place. */
  async build(target: Destination): Promise<void> {
    const beside = target.findWorkFolderBeside()
    using work = beside ?? new WorkFolder(target.folder)
    const entry = this.#rootFolder()
    const path = work.newPath()
    mkdirSync(path, { mode: 0o700 })
    await using makers = this.#startMakers()
    const walk = this.#startWalk(work, makers.tools)
    const metadata = await walk.root(entry)
    {
      using descent = new DirectoryDescent(path)
      await walk.fill(entry.directory, descent, 'made')
      if (beside !== undefined) this.#metadata.finish(descent.fd, metadata)
      await this.#syncAll(descent.fd)
    }
    if (beside === undefined || !target.take(path)) {
      target.fill(path)
      work[Symbol.dispose]()
      this.#metadata.finishExisting(target.folder, metadata)
    }
    if (this.#options.fsync === true) target.sync()
  }

  /** Brings a tree into a folder that has entries. */
  async merge(target: Destination): Promise<void> {
    makeSearchable(Buffer.from(`/proc/self/fd/${target.folder}/.`))
    using work = new WorkFolder(target.folder)
    await using makers = this.#startMakers()
    const walk = this.#startWalk(work, makers.tools)
    const entry = this.#rootFolder()
    const metadata = await walk.root(entry)
    using descent = new DirectoryDescent(`/proc/self/fd/${target.folder}`)
    await walk.fill(entry.directory, descent, 'merged')
    work[Symbol.dispose]()
    this.#metadata.finishExisting(target.folder, metadata)
    await this.#syncAll(target.folder)
  }

  /** Makes the one entry that the tree is. */
  async makeEntry(target: Destination): Promise<void> {
    const work = target.findWorkFolderBeside()
    if (work === undefined) throw new Error('a place for a file has no folder around it')
    using _ = work
    const walk = this.#startWalk(work)
    const path = work.newPath()
    if (!(await walk.makeEntry(path, this.#plan.node.entry))) return
    await this.#syncAll(work.fd)
    replaceEntry(path, target.path, work)
    if (this.#options.fsync === true) target.sync()
  }

  report(): CheckoutReport {
    return { ...this.#count, leftOut: this.#leftOut.finish() }
  }

  #rootFolder(): DirectoryEntry & { readonly kind: 'directory' } {
    const { entry } = this.#plan.node
    if (entry.kind !== 'directory') throw new Error('the tree is no folder')
    return entry
  }

  // What makes ordinary files, where the store and the platform allow it.
  #startMakers(): { tools: OrdinaryFileTools | undefined } & AsyncDisposable {
    const locator = this.#tree.objects.locator?.()
    const maker = FileMaker.find()
    if (locator === undefined || maker === undefined) {
      locator?.[Symbol.dispose]()
      return { tools: undefined, [Symbol.asyncDispose]: async () => {} }
    }
    const { verifyClones = true, workers = workersFor(this.#plan.entries) } =
      this.#options
    const crew = new BatchCrew(maker, workers, { verifyClones })
    const planner = new AttributePlanner(this.#options.ownerMap)
    const metadata = this.#metadata
    return {
      tools: { locator, planner, metadata, crew, maxBytes, verifyClones },
      async [Symbol.asyncDispose]() {
        await crew[Symbol.asyncDispose]()
        locator[Symbol.dispose]()
      },
    }
  }

  #startWalk(work: WorkFolder, ordinary?: OrdinaryFileTools): CheckoutWalk {
    const { node, start, entries, bytes, hardLinks, modificationTimes } = this.#plan
    const { touchSeconds, fsync, onProgress, signal } = this.#options
    const touch =
      touchSeconds === undefined ? undefined : { seconds: touchSeconds, nanoseconds: 0 }
    const syncFiles = fsync === true && !hasNativeCalls()
    const walk = new CheckoutWalk(
      {
        tree: this.#tree,
        metadata: this.#metadata,
        maker: new EntryMaker(this.#metadata, this.#leftOut, { syncFiles }),
        leftOut: this.#leftOut,
        stash: new LinkStash(work, hardLinks, { start, end: start + entries }),
        cursor: new WalkCursor(start, modificationTimes, touch),
        work,
        ordinary,
        onProgress: count =>
          onProgress?.({ ...count, totalEntries: entries, totalBytes: bytes }),
        signal,
      },
      node.path,
    )
    this.#count = walk.count
    return walk
  }

  async #syncAll(fd: number): Promise<void> {
    if (this.#options.fsync !== true) return
    if (hasNativeCalls()) await syncFilesystem(fd)
    else fsyncSync(fd)
  }
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

function wrongKind(path: string, isFolder: boolean): DestinationRefusedError {
  const [expected, found] = isFolder ? ['a folder', 'a file'] : ['a file', 'a folder']
  return new DestinationRefusedError(
    `cannot check out to ${JSON.stringify(path)}: expected ${expected} there, found ${found}`,
    { path, expected, found },
  )
}
