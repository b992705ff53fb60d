import { mkdirSync } from 'node:fs'
import type { Digest } from '../../object/digest.js'
import type { DirectoryEntry, DirectoryLink } from '../../object/directory.js'
import type { DirectoryView } from '../../object/directory-view.js'
import { DirectoryDescent } from '../../system/directory-descent.js'
import { isErrno } from '../../system/errno.js'
import { mountIdOf } from '../../system/mount-id.js'
import { resolveEntryKind } from '../entry-kind.js'
import { digestOfError, locatedError } from '../located-error.js'
import { PathTrail } from '../path-trail.js'
import { checkSize, checkType, type TreeReader } from '../tree-reader.js'
import { ContentWriter } from './content-writer.js'
import type { EntryMaker } from './entry-maker.js'
import type { LeftOutList } from './left-out.js'
import type { LinkStash } from './link-stash.js'
import type { EntryMetadata, MetadataWriter } from './metadata-writer.js'
import {
  type FillingFolder,
  OrdinaryFiles,
  type OrdinaryFileTools,
  type Step,
} from './ordinary-files.js'
import { makeSearchable } from './remove-tree.js'
import { removeEntry, replaceEntry } from './replace-entry.js'
import type { UpdatePlan } from './update/update-plan.js'
import type { WalkCursor } from './walk-cursor.js'
import { WorkFolder } from './work-folder.js'
import { writingError } from './writing-error.js'

/** What a checkout has done so far. */
export type CheckoutCount = { entries: number; files: number; bytes: number }

/** What a walk works with. */
export type CheckoutWalkTools = {
  readonly tree: TreeReader
  readonly metadata: MetadataWriter
  readonly maker: EntryMaker
  readonly leftOut: LeftOutList
  readonly stash: LinkStash
  readonly cursor: WalkCursor
  readonly work: WorkFolder
  /** Absent where payloads do not lie in files, or the platform lacks calls. */
  readonly ordinary?: OrdinaryFileTools | undefined
  /** What a folder that was there before lacks; everything unless given. */
  readonly update?: WalkUpdate | undefined
  readonly onProgress?: ((count: CheckoutCount) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What has to be done in folders that were there before. */
export type WalkUpdate = UpdatePlan & {
  /** How many ordinals an entry takes with all below it. */
  readonly count: (entry: DirectoryEntry) => number
}

/**
 * A folder that is being filled.
 *
 * `made`: by this run, inside a private folder, so that entries are made in their place.
 * `merged`: it was there before, so that entries are made in the work folder and moved.
 */
type Frame = {
  readonly state: 'made' | 'merged'
  readonly name: Buffer
  readonly ordinal: number
  readonly metadata: EntryMetadata | undefined
  readonly directory: DirectoryView
  readonly descent: DirectoryDescent
  readonly work: WorkFolder
  /** Set when it was made in the work folder and has to be moved from there. */
  readonly madeAt?: Buffer
  readonly ownWork?: WorkFolder
  /** Set when files of it may still be in the making. */
  filling?: FillingFolder
  index: number
}

/** Files up to this size are read whole, many at once. */
const smallFileBytes = 512 * 1024
const batchBytes = 8 * 1024 * 1024
const batchEntries = 1024

/**
 * Writes the entries of a tree in stored order, one directory in memory a level.
 *
 * It never walks a name that another could have put there: see DirectoryDescent.
 */
export class CheckoutWalk {
  readonly #tools: CheckoutWalkTools
  readonly #trail: PathTrail
  readonly #ordinary: OrdinaryFiles | undefined
  readonly #contents: ContentWriter
  #rootOrdinal = 0
  readonly count: CheckoutCount = { entries: 0, files: 0, bytes: 0 }

  /** @param start - path of the tree's root inside the application, for messages */
  constructor(tools: CheckoutWalkTools, start: Buffer) {
    this.#tools = tools
    this.#trail = new PathTrail(start)
    this.#contents = new ContentWriter(tools, bytes => {
      this.count.bytes += bytes
      this.#report()
    })
    if (tools.ordinary === undefined) return
    this.#ordinary = new OrdinaryFiles(tools.ordinary, {
      made: (files, bytes) => {
        this.count.entries += files
        this.count.files += files
        this.count.bytes += bytes
        this.#report()
      },
      redo: async (path, step) => this.#copy(path, step),
    })
  }

  /** Makes the one entry of a tree that is no folder; false when it was left out. */
  async makeEntry(path: Buffer, entry: DirectoryEntry): Promise<boolean> {
    const [step] = await this.#nextSteps([entry], () => this.#trail.here)
    if (step === undefined) throw new Error('a batch of one gave no step')
    const made = this.#makeNow(path, step, undefined)
    if (made === 'needs-content') await this.#copy(path, step)
    return made !== 'left-out'
  }

  /** Says what the root folder is, and counts it. */
  async root(entry: DirectoryEntry): Promise<EntryMetadata> {
    const [step] = await this.#nextSteps([entry], () => this.#trail.here)
    if (step === undefined) throw new Error('a batch of one gave no step')
    this.count.entries++
    this.#rootOrdinal = step.ordinal
    return step.metadata
  }

  /** Fills a folder, which stands at the start of a descent; its own metadata is the caller's. */
  async fill(
    link: DirectoryLink,
    descent: DirectoryDescent,
    state: Frame['state'],
  ): Promise<void> {
    const { tree, work, signal } = this.#tools
    const directory = await tree.directory(link)
    const name = Buffer.alloc(0)
    const ordinal = this.#rootOrdinal
    const metadata = undefined
    const root = { state, name, ordinal, metadata, directory, descent, work, index: 0 }
    const frames: Frame[] = [root]
    try {
      this.#removeGone(root)
      for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
        signal?.throwIfAborted()
        const entry = frame.directory.at(frame.index)
        if (entry === undefined) {
          // What is in a folder has to be there before it gets its place.
          const isAlone = frame.madeAt !== undefined || frame.ownWork !== undefined
          if (isAlone) await this.#ordinary?.drain()
          this.#close(frame, frames.at(-2))
          frames.pop()
        } else if (entry.kind === 'directory') {
          frame.index++
          if (this.#isKept(frame, entry)) continue
          const inner = await this.#enter(frame, entry)
          frames.push(inner)
          this.#removeGone(inner)
        } else await this.#fillNext(frame)
      }
      await this.#ordinary?.drain()
    } finally {
      // Threads make files in the folders that are closed here.
      await this.#ordinary?.abandon()
      for (const frame of frames) {
        if (frame.madeAt !== undefined) frame.descent[Symbol.dispose]()
        frame.ownWork?.[Symbol.dispose]()
      }
    }
  }

  async #enter(
    parent: Frame,
    entry: DirectoryEntry & { readonly kind: 'directory' },
  ): Promise<Frame> {
    const { tree } = this.#tools
    // Its metadata is written when the walk leaves it, and still stands in it.
    const [step] = await this.#nextSteps([entry], () => this.#trail.here)
    const directory = await tree.directory(entry.directory)
    if (step === undefined) throw new Error('a batch of one gave no step')
    const { metadata, ordinal } = step
    const common = { name: entry.name, ordinal, metadata, directory, index: 0 }
    this.#trail.enter(entry.name)
    this.count.entries++
    return this.#writing(
      () => this.#trail.here,
      () => this.#open(parent, common),
    )
  }

  #open(
    parent: Frame,
    common: Pick<Frame, 'name' | 'ordinal' | 'metadata' | 'directory' | 'index'>,
  ): Frame {
    const { descent, work } = parent
    const path = descent.path(common.name)
    if (parent.state === 'made') {
      mkdirSync(path, { mode: 0o700 })
      descent.enter(common.name)
      return { ...common, state: 'made', descent, work }
    }
    try {
      makeSearchable(path)
      descent.enter(common.name)
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error
      const madeAt = work.newPath()
      mkdirSync(madeAt, { mode: 0o700 })
      const below = new DirectoryDescent(madeAt)
      return { ...common, state: 'made', descent: below, work, madeAt }
    }
    if (mountIdOf(descent.fd) === work.mount) {
      return { ...common, state: 'merged', descent, work }
    }
    const ownWork = new WorkFolder(descent.fd)
    return { ...common, state: 'merged', descent, work: ownWork, ownWork }
  }

  // Passes a folder over that has all that it should.
  #isKept({ state }: Frame, entry: DirectoryEntry): boolean {
    const { update, cursor } = this.#tools
    if (update === undefined || state === 'made') return false
    if (update.isWanted(cursor.ordinal)) return false
    cursor.skip(update.count(entry))
    return true
  }

  #removeGone({ state, ordinal, descent, work }: Frame): void {
    if (state === 'made') return
    for (const name of this.#tools.update?.removals.get(ordinal) ?? []) {
      this.#writing(
        () => this.#trail.at(name),
        () => {
          removeEntry(descent.path(name), work)
        },
      )
    }
  }

  #close(frame: Frame, parent: Frame | undefined): void {
    const { metadata: entry, descent, madeAt } = frame
    if (parent === undefined || entry === undefined) return
    const { metadata } = this.#tools
    this.#writing(
      () => this.#trail.here,
      () => {
        if (madeAt !== undefined) {
          metadata.finish(descent.fd, entry)
          descent[Symbol.dispose]()
          replaceEntry(madeAt, parent.descent.path(frame.name), parent.work)
        } else if (frame.filling !== undefined && frame.filling.pending > 0) {
          descent.release()
          frame.filling.metadata = { ...entry, path: keep(frame.filling.path) }
        } else if (frame.state === 'made') {
          descent.leave(fd => metadata.finish(fd, entry))
        } else {
          frame.ownWork?.[Symbol.dispose]()
          descent.leave(fd => metadata.finishExisting(fd, entry))
        }
      },
    )
    this.#trail.leave()
  }

  async #fillNext(frame: Frame): Promise<void> {
    const entries = nextBatch(frame.directory, frame.index)
    frame.index += entries.length
    const all = await this.#nextSteps(entries, undefined)
    const steps = await this.#takeOrdinary(frame, this.#withoutKept(frame, all))
    const payloads = await this.#readContents(steps)
    for (const step of steps) {
      const { entry } = step
      const content =
        entry.kind === 'regular' ? payloads.get(entry.file.digest) : undefined
      const place = frame.descent.path(entry.name)
      const path = frame.state === 'made' ? place : frame.work.newPath()
      const made = this.#makeNow(path, step, content)
      if (made === 'needs-content') await this.#copy(path, step)
      if (path !== place && made !== 'left-out') {
        this.#writing(step.metadata.path, () => replaceEntry(path, place, frame.work))
      }
    }
    this.#report()
  }

  #withoutKept({ state }: Frame, steps: readonly Step[]): readonly Step[] {
    const { update } = this.#tools
    if (update === undefined || state === 'made') return steps
    return steps.filter(({ ordinal }) => update.isWanted(ordinal))
  }

  // Hands on what can be made without care; returns the rest.
  async #takeOrdinary(frame: Frame, steps: readonly Step[]): Promise<readonly Step[]> {
    const ordinary = this.#ordinary
    if (ordinary === undefined) return steps
    const { descent, state, work } = frame
    frame.filling ??= {
      fd: descent.fd,
      work: state === 'made' ? undefined : work,
      path: this.#trail.here,
      pending: 0,
      metadata: undefined,
    }
    const rest: Step[] = []
    for (const step of steps) {
      const isSingle = this.#tools.stash.groupOf(step.ordinal) === undefined
      if (!isSingle || !ordinary.take(step, frame.filling)) rest.push(step)
      else if (ordinary.isFull) await ordinary.flush()
    }
    return rest
  }

  async #nextSteps(
    entries: readonly DirectoryEntry[],
    path: (() => Buffer) | undefined,
  ): Promise<Step[]> {
    const { tree, cursor } = this.#tools
    const headers = await tree.headers(entries.map(entry => entry.header))
    return entries.map((entry, at) => {
      const header = headers[at]
      if (header === undefined) throw new Error('a reader answered for no header')
      const kind = resolveEntryKind(entry, header)
      const { ordinal, time } = cursor.next()
      const metadata = {
        kind,
        header,
        time,
        path: path ?? (() => this.#trail.at(entry.name)),
      }
      return { entry, ordinal, metadata }
    })
  }

  // Reads what small files of a batch hold, each content once, without those that only
  // get a name of a file that another member of their group is.
  async #readContents(steps: readonly Step[]): Promise<ReadonlyMap<Digest, Buffer>> {
    const { tree, stash } = this.#tools
    const wanted = new Set<Digest>()
    const groups = new Set<object>()
    for (const { entry, ordinal } of steps) {
      if (entry.kind !== 'regular' || entry.file.size > smallFileBytes) continue
      const group = stash.groupOf(ordinal)
      if (group !== undefined) {
        if (groups.has(group) || stash.has(ordinal)) continue
        groups.add(group)
      }
      wanted.add(entry.file.digest)
    }
    const contents = new Map<Digest, Buffer>()
    if (wanted.size === 0) return contents
    try {
      for (const object of await tree.objects.read([...wanted])) {
        checkType(object.digest, object.type, 'file')
        contents.set(object.digest, object.payload)
      }
    } catch (error) {
      const digest = digestOfError(error)
      const step = steps.find(
        ({ entry }) => entry.kind === 'regular' && entry.file.digest === digest,
      )
      throw step === undefined ? error : locatedError(error, step.metadata.path)
    }
    return contents
  }

  #makeNow(
    path: Buffer,
    step: Step,
    content: Buffer | undefined,
  ): 'made' | 'left-out' | 'needs-content' {
    const { entry, metadata, ordinal } = step
    try {
      if (this.#tools.stash.has(ordinal)) {
        if (this.#tools.stash.link(ordinal, path)) {
          this.count.entries++
          return 'made'
        }
        this.#tools.leftOut.add('hard-link', metadata.path)
      }
      if (entry.kind === 'regular') {
        if (content === undefined) return 'needs-content'
        checkSize(entry.file, content.length)
        this.#tools.maker.makeFile(path, content, metadata)
        this.count.files++
        this.count.bytes += content.length
      } else if (!this.#tools.maker.makeOther(path, entry, metadata)) {
        this.#tools.stash.skip(ordinal)
        return 'left-out'
      }
      this.#keep(path, step)
      return 'made'
    } catch (error) {
      throw located(error, metadata.path)
    }
  }

  async #copy(path: Buffer, step: Step): Promise<void> {
    const { entry, metadata } = step
    if (entry.kind !== 'regular') throw new Error(`a ${entry.kind} has no content`)
    try {
      await this.#contents.write(path, entry.file, metadata)
      this.count.files++
      this.#keep(path, step)
    } catch (error) {
      throw located(error, metadata.path)
    }
  }

  #keep(path: Buffer, { ordinal, metadata }: Step): void {
    this.count.entries++
    if (!this.#tools.stash.keep(ordinal, path)) {
      this.#tools.leftOut.add('hard-link', metadata.path)
    }
  }

  #report(): void {
    this.#tools.onProgress?.({ ...this.count })
  }

  #writing<T>(path: () => Buffer, action: () => T): T {
    try {
      return action()
    } catch (error) {
      throw located(error, path)
    }
  }
}

function keep(path: Buffer): () => Buffer {
  return () => path
}

function located(error: unknown, path: () => Buffer): unknown {
  return locatedError(writingError(error, path), path)
}

// A large file stands alone, and is not read here.
function nextBatch(directory: DirectoryView, start: number): DirectoryEntry[] {
  const batch: DirectoryEntry[] = []
  let bytes = 0
  for (let at = start; batch.length < batchEntries; at++) {
    const entry = directory.at(at)
    if (entry === undefined || entry.kind === 'directory') break
    const size = entry.kind === 'regular' ? entry.file.size : 0
    if (batch.length > 0 && (size > smallFileBytes || bytes + size > batchBytes)) break
    batch.push(entry)
    bytes += size
    if (size > smallFileBytes) break
  }
  return batch
}
