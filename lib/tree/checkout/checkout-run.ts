import { closeSync, constants, fsyncSync, mkdirSync, openSync } from 'node:fs'
import {
  IncompleteClosureError,
  ObjectNotFoundError,
  PathNotFoundError,
} from '../../errors.js'
import type { DirectoryEntry } from '../../object/directory.js'
import type { ModificationTime } from '../../object/modification-times.js'
import { DirectoryDescent } from '../../system/directory-descent.js'
import { errnoOf } from '../../system/errno.js'
import { hasNativeCalls } from '../../system/libc.js'
import { syncFilesystem } from '../../system/sync.js'
import type { TreeReader } from '../tree-reader.js'
import type { CheckoutOptions, CheckoutReport } from './checkout.js'
import type { Destination } from './checkout-destination.js'
import type { CheckoutPlan, TreeRoot } from './checkout-plan.js'
import { type CheckoutCount, CheckoutWalk, type WalkUpdate } from './checkout-walk.js'
import { EntryMaker } from './entry-maker.js'
import { type FileMakers, startMakers } from './file-makers.js'
import { LeftOutList } from './left-out.js'
import { LinkStash } from './link-stash.js'
import { MetadataWriter } from './metadata-writer.js'
import { makeSearchable } from './remove-tree.js'
import { replaceEntry } from './replace-entry.js'
import { ChangeClock } from './update/change-clock.js'
import type { ClockSpan } from './update/checkout-record.js'
import { EntryMatcher } from './update/entry-match.js'
import { findIdentity } from './update/record-book.js'
import { TreeVersion, type VersionOptions } from './update/tree-version.js'
import { UpdatePlanner } from './update/update-plan.js'
import { WalkCursor } from './walk-cursor.js'
import { WorkFolder } from './work-folder.js'
import { writingError } from './writing-error.js'

/** One checkout of a tree that was planned: builds it, or brings it into a folder. */
export class CheckoutRun {
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
  async build(target: Destination, makers: FileMakers): Promise<void> {
    const beside = target.findWorkFolderBeside()
    using work = beside ?? new WorkFolder(target.folder)
    const clock = this.#startClock(work)
    const entry = this.#rootFolder()
    const path = work.newPath()
    mkdirSync(path, { mode: 0o700 })
    const walk = this.#startWalk(work, makers)
    const metadata = await walk.root(entry)
    {
      using descent = new DirectoryDescent(path)
      await walk.fill(entry.directory, descent, 'made')
      if (beside !== undefined) this.#metadata.finish(descent.fd, metadata)
      await this.#syncAll(descent.fd)
    }
    let span = await clock?.end()
    if (beside === undefined || !target.take(path)) {
      target.fill(path)
      // What was moved counts as changed.
      span = await clock?.end()
      work[Symbol.dispose]()
      this.#metadata.finishExisting(target.folder, metadata)
    }
    if (this.#options.fsync === true) target.sync()
    this.#remember(target, span, [])
  }

  /** Brings a tree into a folder that has entries. */
  async merge(target: Destination, makers: FileMakers): Promise<void> {
    makeSearchable(Buffer.from(`/proc/self/fd/${target.folder}/.`))
    await this.#mergeInto(target, makers, { spans: [] })
  }

  /** Brings a tree into a folder that has another one, as far as they differ. */
  async update(target: Destination): Promise<void> {
    const { memory, ownerMap, force = false, signal } = this.#options
    makeSearchable(Buffer.from(`/proc/self/fd/${target.folder}/.`))
    const found = memory?.book.find(target.real, target.folder)
    const record = found?.manner === memory?.manner ? found : undefined
    const known = { touch: this.#touch, counted: this.#plan.below }
    const before = record && (await findVersion(this.#tree, record, known))
    const after = await TreeVersion.ofPlan(this.#tree, this.#plan, this.#touch)
    const spans = before === undefined ? [] : (record?.spans ?? [])
    const { hardLinks } = this.#plan
    const matcher = new EntryMatcher(spans, { ownerMap, signal })
    const sources = { before, after, matcher, hardLinks, force, signal }
    using descent = new DirectoryDescent(`/proc/self/fd/${target.folder}`)
    const plan = await new UpdatePlanner(sources).plan(descent)
    const count = (entry: DirectoryEntry): number => after.count(entry)
    await using makers = startMakers(this.#tree.objects, this.#options, plan.entries)
    await this.#mergeInto(target, makers, { update: { ...plan, count }, spans })
  }

  async #mergeInto(
    target: Destination,
    makers: FileMakers,
    { update, spans }: { update?: WalkUpdate; spans: readonly ClockSpan[] },
  ): Promise<void> {
    using work = new WorkFolder(target.folder)
    const clock = this.#startClock(work)
    const walk = this.#startWalk(work, makers, update)
    const entry = this.#rootFolder()
    const metadata = await walk.root(entry)
    using descent = new DirectoryDescent(`/proc/self/fd/${target.folder}`)
    await walk.fill(entry.directory, descent, 'merged')
    const span = await clock?.end()
    work[Symbol.dispose]()
    this.#metadata.finishExisting(target.folder, metadata)
    await this.#syncAll(target.folder)
    this.#remember(target, span, spans)
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

  /** Runs what makes entries, and tells what was made. */
  async finish(make: () => Promise<void>): Promise<CheckoutReport> {
    try {
      await make()
    } catch (error) {
      throw writingError(error, () => this.#plan.node.path)
    }
    return { ...this.#count, leftOut: this.#leftOut.finish() }
  }

  #rootFolder(): DirectoryEntry & { readonly kind: 'directory' } {
    const { entry } = this.#plan.node
    if (entry.kind !== 'directory') throw new Error('the tree is no folder')
    return entry
  }

  get #touch(): ModificationTime | undefined {
    const { touchSeconds: seconds } = this.#options
    return seconds === undefined ? undefined : { seconds, nanoseconds: 0 }
  }

  #startClock(work: WorkFolder): ChangeClock | undefined {
    return this.#options.memory === undefined ? undefined : new ChangeClock(work)
  }

  // A checkout that is there is not undone because it could not be noted down.
  #remember(
    target: Destination,
    span: ClockSpan | undefined,
    before: readonly ClockSpan[],
  ): void {
    const { memory } = this.#options
    if (memory === undefined || span === undefined) return
    try {
      const identity = identityAt(target.path)
      if (identity === undefined) return
      const { application, path } = this.#plan.node
      const { book, manner } = memory
      const folder = target.real
      book.save({ application, path, folder, identity, manner, spans: [...before, span] })
    } catch (error) {
      if (errnoOf(error) === undefined) throw error
      memory.onProblem(error)
    }
  }

  #startWalk(work: WorkFolder, makers?: FileMakers, update?: WalkUpdate): CheckoutWalk {
    const { node, start, entries, bytes, hardLinks, modificationTimes } = this.#plan
    const { fsync, onProgress, signal } = this.#options
    const syncFiles = fsync === true && !hasNativeCalls()
    const walk = new CheckoutWalk(
      {
        tree: this.#tree,
        metadata: this.#metadata,
        maker: new EntryMaker(this.#metadata, this.#leftOut, { syncFiles }),
        leftOut: this.#leftOut,
        stash: new LinkStash(work, hardLinks, { start, end: start + entries }),
        cursor: new WalkCursor(start, modificationTimes, this.#touch),
        work,
        ordinary: makers?.tools && { ...makers.tools, metadata: this.#metadata },
        update,
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

// What was checked out before may have been collected since: then it is not known.
async function findVersion(
  tree: TreeReader,
  root: TreeRoot,
  options: VersionOptions,
): Promise<TreeVersion | undefined> {
  try {
    return await TreeVersion.read(tree, root, options)
  } catch (error) {
    const isGone =
      error instanceof ObjectNotFoundError ||
      error instanceof IncompleteClosureError ||
      error instanceof PathNotFoundError
    if (isGone) return undefined
    throw error
  }
}

function identityAt(folder: Buffer): string | undefined {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
  const fd = openSync(folder, flags)
  try {
    return findIdentity(fd)
  } finally {
    closeSync(fd)
  }
}
