import { lstatSync, readdirSync } from 'node:fs'
import { LocalChangesError } from '../../../errors.js'
import type { HardLinkGroup } from '../../../object/hard-links.js'
import { Bitmap } from '../../../store/bitmap.js'
import type { DirectoryDescent } from '../../../system/directory-descent.js'
import { type Pair, type Placed, pairByName } from '../../pair-by-name.js'
import { PathTrail } from '../../path-trail.js'
import { showPath } from '../../shown-path.js'
import { makeSearchable } from '../remove-tree.js'
import type { DiskEntry, EntryMatcher } from './entry-match.js'
import type { TreeVersion } from './tree-version.js'

/** What an update has to do to a folder. */
export type UpdatePlan = {
  /** How many entries have to be made, or are folders with work in them. */
  readonly entries: number
  /** Whether the entry of the new tree has to be made, or is a folder with work in it. */
  readonly isWanted: (ordinal: number) => boolean
  /** Names that go away, by the folder of the new tree that they are in. */
  readonly removals: ReadonlyMap<number, readonly Buffer[]>
}

/** What a plan is made from. */
export type UpdateSources = {
  /** What was checked out before, if that is known. */
  readonly before: TreeVersion | undefined
  readonly after: TreeVersion
  readonly matcher: EntryMatcher
  readonly hardLinks: readonly HardLinkGroup[]
  /** Replaces what was changed, and looks at what the trees have in common, too. */
  readonly force: boolean
  readonly signal: AbortSignal | undefined
}

/**
 * A folder on disk that is looked at.
 *
 * `stays`: it is a folder in the new tree. `goes`: all that is in it goes with it, so that
 * it must hold nothing of anyone else.
 */
type Frame = {
  readonly state: 'stays' | 'goes'
  readonly after: Placed | undefined
  readonly pairs: readonly Pair[]
  index: number
  /** Whether only checkouts moved the folder and those above it. */
  readonly isTrusted: boolean
  hasWork: boolean
  readonly gone: Buffer[]
}

const shownPaths = 10

/** Finds out what an update has to do; reads the disk, and changes nothing. */
export class UpdatePlanner {
  readonly #sources: UpdateSources
  readonly #first: number
  readonly #total: number
  readonly #trail = new PathTrail()
  readonly #conflicts: string[] = []
  #conflictCount = 0
  #wanted: Bitmap
  #removals = new Map<number, readonly Buffer[]>()
  /** Names of files that have to be made again, since another name of them is. */
  readonly #required = new Set<number>()

  constructor(sources: UpdateSources) {
    this.#sources = sources
    const { root } = sources.after
    this.#first = root.ordinal
    this.#total = sources.after.count(root.entry)
    this.#wanted = new Bitmap(this.#total)
  }

  /**
   * Compares trees and disk; throws LocalChangesError for what was changed on disk since,
   * and would be lost.
   *
   * @param descent - stands in the folder that is to be updated
   */
  async plan(descent: DirectoryDescent): Promise<UpdatePlan> {
    await this.#walk(descent)
    if (this.#requireWholeGroups()) {
      this.#wanted = new Bitmap(this.#total)
      this.#removals = new Map()
      this.#conflicts.length = 0
      this.#conflictCount = 0
      await this.#walk(descent)
    }
    if (this.#conflictCount > 0) throw this.#localChanges()
    const wanted = this.#wanted
    return {
      entries: wanted.count(),
      isWanted: ordinal => wanted.get(ordinal - this.#first),
      removals: this.#removals,
    }
  }

  async #walk(descent: DirectoryDescent): Promise<void> {
    const { before, after, signal } = this.#sources
    const root = { before: before?.root, after: after.root }
    const frames = [await this.#frame('stays', root, true)]
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      const pair = frame.pairs[frame.index++]
      if (pair === undefined) {
        frames.pop()
        this.#close(frame, frames.at(-1))
        if (frames.length > 0) {
          descent.leave()
          this.#trail.leave()
        }
        continue
      }
      const name = (pair.after ?? pair.before)?.entry.name
      if (name === undefined) throw new Error('a pair of no entry')
      const inner = await this.#look(frame, pair, () => findDisk(descent.path(name)))
      if (inner === undefined) continue
      signal?.throwIfAborted()
      makeSearchable(descent.path(name))
      descent.enter(name)
      this.#trail.enter(name)
      if (inner.state === 'goes') this.#checkNames(inner, descent)
      frames.push(inner)
    }
  }

  // Returns the folder that has to be looked into.
  async #look(
    frame: Frame,
    pair: Pair,
    see: () => DiskEntry | undefined,
  ): Promise<Frame | undefined> {
    if (this.#isLeftAlone(pair)) return undefined
    const disk = see()
    if (pair.after === undefined) return this.#lookAtGoing(frame, pair.before, disk)
    if (disk === undefined) {
      this.#want(frame, pair.after)
      return undefined
    }
    const { after } = pair
    return after.entry.kind === 'directory'
      ? this.#lookAtFolder(frame, { ...pair, after }, disk)
      : this.#lookAtEntry(frame, { ...pair, after }, disk)
  }

  #isLeftAlone({ before, after }: Pair): boolean {
    const { force, before: old, after: version } = this.#sources
    if (force || this.#required.size > 0) return false
    if (before === undefined || after === undefined || old === undefined) return false
    return version.hasSame(after, old, before)
  }

  async #lookAtGoing(
    frame: Frame,
    before: Placed | undefined,
    disk: DiskEntry | undefined,
  ): Promise<Frame | undefined> {
    if (disk === undefined || before === undefined) return undefined
    if (frame.state === 'stays') {
      frame.gone.push(before.entry.name)
      frame.hasWork = true
    }
    if (before.entry.kind === 'directory' && disk.stats.isDirectory()) {
      return this.#frame('goes', { before, after: undefined }, this.#trusts(frame, disk))
    }
    if (!(await this.#isBefore(frame, before, disk))) this.#conflict(before.entry.name)
    return undefined
  }

  async #lookAtFolder(
    frame: Frame,
    { before, after }: { before: Placed | undefined; after: Placed },
    disk: DiskEntry,
  ): Promise<Frame | undefined> {
    const { after: version, matcher } = this.#sources
    if (!disk.stats.isDirectory()) {
      const isKnown = before !== undefined && before.entry.kind !== 'directory'
      if (!isKnown || !(await this.#isBefore(frame, before, disk))) {
        this.#conflict(after.entry.name)
      }
      this.#want(frame, after)
      return undefined
    }
    const inner = await this.#frame(
      'stays',
      { before: before?.entry.kind === 'directory' ? before : undefined, after },
      this.#trusts(frame, disk),
    )
    const header = await version.tree.header(after.entry.header)
    const time = version.findTime(after.ordinal)
    if (!matcher.hasMetadata(header, time, disk)) inner.hasWork = true
    return inner
  }

  async #lookAtEntry(
    frame: Frame,
    { before, after }: { before: Placed | undefined; after: Placed },
    disk: DiskEntry,
  ): Promise<Frame | undefined> {
    const { before: old, after: version, matcher } = this.#sources
    if (disk.stats.isDirectory()) {
      this.#want(frame, after)
      if (before?.entry.kind !== 'directory') {
        this.#conflict(after.entry.name)
        return undefined
      }
      return this.#frame('goes', { before, after: undefined }, this.#trusts(frame, disk))
    }
    const isSame =
      old !== undefined && before !== undefined && version.hasSame(after, old, before)
    const trust = isSame && frame.isTrusted
    if (await matcher.matches(version, after, disk, trust)) {
      const isLinked = version.findLinkSet(after.ordinal) !== undefined
      const hasNames = isLinked ? isSame : disk.stats.nlink === 1n
      if (!hasNames || this.#required.has(after.ordinal)) this.#want(frame, after)
      return undefined
    }
    if (!(await this.#isBefore(frame, before, disk))) this.#conflict(after.entry.name)
    this.#want(frame, after)
    return undefined
  }

  async #isBefore(
    frame: Frame,
    before: Placed | undefined,
    disk: DiskEntry,
  ): Promise<boolean> {
    const { before: old, matcher } = this.#sources
    if (old === undefined || before === undefined) return false
    return matcher.matches(old, before, disk, frame.isTrusted)
  }

  // A folder that somebody moved brought its files with it, unchanged.
  #trusts(frame: Frame, { stats }: DiskEntry): boolean {
    return frame.isTrusted && this.#sources.matcher.isOurs(stats)
  }

  async #frame(state: Frame['state'], pair: Pair, isTrusted: boolean): Promise<Frame> {
    const { before: old, after: version } = this.#sources
    const befores = pair.before && old ? await old.children(pair.before) : []
    const afters = pair.after ? await version.children(pair.after) : []
    const pairs = pairByName(befores, afters)
    const { after } = pair
    return { state, after, pairs, index: 0, isTrusted, hasWork: false, gone: [] }
  }

  #close(frame: Frame, outer: Frame | undefined): void {
    if (frame.after === undefined) return
    const { ordinal } = frame.after
    if (frame.gone.length > 0) this.#removals.set(ordinal, frame.gone)
    if (!frame.hasWork) return
    this.#wanted.set(ordinal - this.#first)
    if (outer !== undefined) outer.hasWork = true
  }

  #want(frame: Frame, after: Placed): void {
    const count = this.#sources.after.count(after.entry)
    for (let at = 0; at < count; at++) {
      this.#wanted.set(after.ordinal + at - this.#first)
    }
    frame.hasWork = true
  }

  // True when names were found that have to be made again.
  #requireWholeGroups(): boolean {
    const end = this.#first + this.#total
    for (const group of this.#sources.hardLinks) {
      const inside = group.filter(at => at >= this.#first && at < end)
      const wanted = inside.filter(at => this.#wanted.get(at - this.#first))
      if (wanted.length === 0 || wanted.length === inside.length) continue
      for (const ordinal of inside) this.#required.add(ordinal)
    }
    return this.#required.size > 0
  }

  // What the old tree does not name would go with the folder.
  #checkNames(frame: Frame, descent: DirectoryDescent): void {
    const known = new Set(
      frame.pairs.map(({ before }) => before?.entry.name.toString('latin1')),
    )
    for (const name of readdirSync(descent.here, { encoding: 'buffer' })) {
      if (!known.has(name.toString('latin1'))) this.#conflict(name)
    }
  }

  #conflict(name: Buffer): void {
    if (this.#sources.force) return
    this.#conflictCount++
    if (this.#conflicts.length < shownPaths) {
      this.#conflicts.push(showPath(this.#trail.at(name)))
    }
  }

  #localChanges(): LocalChangesError {
    const paths = this.#conflicts
    const count = this.#conflictCount
    const more = count > paths.length ? ` and ${count - paths.length} more` : ''
    const what =
      this.#sources.before === undefined
        ? 'what was checked out here is not known, and these are not as in the tree'
        : 'local changes would be lost'
    return new LocalChangesError(`${what}: ${paths.join(', ')}${more}`, {
      count,
      paths: paths.join(', '),
    })
  }
}

function findDisk(path: Buffer): DiskEntry | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stats && { path, stats }
}
