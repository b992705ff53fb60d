import { LimitExceededError } from '../errors.js'
import type { Application } from '../object/application.js'
import type { Digest } from '../object/digest.js'
import { algorithmOf } from '../object/digest.js'
import { createObjectDigester } from '../object/digester.js'
import type { DirectoryEntry } from '../object/directory.js'
import { permissionsOf } from '../object/file-mode.js'
import type { Header, Xattr } from '../object/header.js'
import type { ModificationTime } from '../object/modification-times.js'
import type { ObjectReader } from '../store/object-store.js'
import { getApplication } from '../store/typed-object.js'
import { ordinalOfPath } from './entry-ordinals.js'
import { describeEntries, type TreeEntry } from './list.js'
import { type Pair, type Placed, pairByName } from './pair-by-name.js'
import { PathTrail } from './path-trail.js'
import { TreeExtras } from './tree-extras.js'
import { rootEntry, type TreeNode } from './tree-path.js'
import { TreeReader } from './tree-reader.js'

/** What can differ between two entries of the same path. */
export type ChangedPart =
  | 'type'
  | 'permissions'
  | 'owner'
  | 'xattrs'
  | 'content'
  | 'target'
  | 'device'
  | 'hard-links'
  | 'modification-time'

/** One difference between two trees; `path` is relative to what was compared. */
export type TreeChange =
  | { readonly kind: 'added'; readonly path: Buffer; readonly after: TreeEntry }
  | { readonly kind: 'removed'; readonly path: Buffer; readonly before: TreeEntry }
  | {
      readonly kind: 'changed'
      readonly path: Buffer
      readonly before: TreeEntry
      readonly after: TreeEntry
      readonly parts: readonly ChangedPart[]
    }

/** How two trees are compared. */
export type DiffOptions = {
  /** A comparison that looks at more entries ends with LimitExceededError; 100 million unless given. */
  readonly maxEntries?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** An entry on one side of a comparison. */
export type ComparedEntry = {
  readonly description: TreeEntry
  /** Undefined when its tree records none. */
  readonly time: ModificationTime | undefined
  /** Equal for names of one file; undefined for a single name. */
  readonly links: string | undefined
}

/**
 * What two trees have at one path, where they differ or a folder is looked into: then
 * `parts` may be empty.
 */
export type ComparedPair = {
  readonly before: ComparedEntry | undefined
  readonly after: ComparedEntry | undefined
  readonly parts: readonly ChangedPart[]
}

/** How two trees are compared entry by entry. */
export type CompareTreesOptions = DiffOptions & {
  /**
   * When hard links count: `recorded` when both sides record them, `always` also when
   * only one does, as the other has none then.
   */
  readonly hardLinks: 'recorded' | 'always'
}

const defaultMaxEntries = 100_000_000

/**
 * Tells how the tree `after` differs from the tree `before`, in byte order of paths, a
 * folder before what is in it.
 *
 * Folders that are the same object are not looked into. Contents under different digest
 * algorithms are read and compared. Hard links and modification times are compared when
 * both sides record them. Added and removed folders come with all that is in them.
 * Memory holds one directory a level. Throws as listTree does.
 */
export async function* diffTrees(
  beforeReader: ObjectReader,
  before: TreeNode,
  afterReader: ObjectReader,
  after: TreeNode,
  options: DiffOptions = {},
): AsyncGenerator<readonly TreeChange[], void, void> {
  const compared = { ...options, hardLinks: 'recorded' } as const
  for await (const pairs of compareTrees(
    beforeReader,
    before,
    afterReader,
    after,
    compared,
  )) {
    const changes = pairs.flatMap(pair => findChange(pair) ?? [])
    if (changes.length > 0) yield changes
  }
}

/** As diffTrees, but tells also which folders are looked into, and more of each entry. */
export async function* compareTrees(
  beforeReader: ObjectReader,
  before: TreeNode,
  afterReader: ObjectReader,
  after: TreeNode,
  options: CompareTreesOptions,
): AsyncGenerator<readonly ComparedPair[], void, void> {
  const sides = {
    before: await openSide(beforeReader, before),
    after: await openSide(afterReader, after),
  }
  yield* new TreeComparison(sides, options).compare(before, after)
}

function findChange({ before, after, parts }: ComparedPair): TreeChange | undefined {
  if (before === undefined) {
    if (after === undefined) return undefined
    const { description } = after
    return { kind: 'added', path: description.path, after: description }
  }
  if (after === undefined) {
    const { description } = before
    return { kind: 'removed', path: description.path, before: description }
  }
  if (parts.length === 0) return undefined
  const both = { before: before.description, after: after.description }
  return { kind: 'changed', path: after.description.path, ...both, parts }
}

type Side = {
  readonly tree: TreeReader
  readonly extras: TreeExtras | undefined
  readonly start: number
}
type Sides = { readonly before: Side; readonly after: Side }

// An entry with where it stands in walk order, or 0 where nothing is said by ordinal.
type Described = Placed & ComparedEntry
type Frame = { readonly pairs: readonly Pair[]; index: number }

const pairBatch = 512

async function openSide(reader: ObjectReader, node: TreeNode): Promise<Side> {
  const tree = new TreeReader(reader, { strictness: 'tolerant' })
  const application: Application = await getApplication(reader, node.application)
  const extras = await TreeExtras.find(tree, application)
  if (extras === undefined) return { tree, extras, start: 0 }
  const start = await ordinalOfPath(tree, rootEntry(application), node.path, entry =>
    extras.countEntries(entry),
  )
  return { tree, extras, start }
}

class TreeComparison {
  readonly #sides: Sides
  readonly #options: CompareTreesOptions
  readonly #trail = new PathTrail()
  readonly #compareTimes: boolean
  readonly #compareLinks: boolean
  #seen = 0

  constructor(sides: Sides, options: CompareTreesOptions) {
    this.#sides = sides
    this.#options = options
    const { before, after } = sides
    this.#compareTimes =
      before.extras?.hasTimes === true && after.extras?.hasTimes === true
    const one = before.extras?.hasHardLinks === true
    const other = after.extras?.hasHardLinks === true
    this.#compareLinks = options.hardLinks === 'always' ? one || other : one && other
  }

  async *compare(
    before: TreeNode,
    after: TreeNode,
  ): AsyncGenerator<readonly ComparedPair[], void, void> {
    const noName = Buffer.alloc(0)
    const root: Pair = {
      before: {
        entry: { ...before.entry, name: noName },
        ordinal: this.#sides.before.start,
      },
      after: {
        entry: { ...after.entry, name: noName },
        ordinal: this.#sides.after.start,
      },
    }
    const frames: Frame[] = [{ pairs: [root], index: 0 }]
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      this.#options.signal?.throwIfAborted()
      const pairs = nextPairs(frame)
      if (pairs.length === 0) {
        frames.pop()
        if (frames.length > 0) this.#trail.leave()
        continue
      }
      frame.index += pairs.length
      this.#count(pairs.length)
      const changes = await this.#changes(pairs)
      if (changes.length > 0) yield changes
      const last = pairs.at(-1)
      if (last !== undefined && hasFolder(last) && !this.#isSame(last)) {
        frames.push({ pairs: await this.#children(last), index: 0 })
        this.#trail.enter((last.before ?? last.after)?.entry.name ?? noName)
      }
    }
  }

  async #changes(pairs: readonly Pair[]): Promise<ComparedPair[]> {
    const open = pairs.filter(pair => !this.#isSame(pair))
    const befores = await this.#describe('before', open)
    const afters = await this.#describe('after', open)
    const changes: ComparedPair[] = []
    for (const [at] of open.entries()) {
      const before = befores[at]
      const after = afters[at]
      const parts =
        before === undefined || after === undefined
          ? []
          : await this.#changedParts(before, after)
      changes.push({ before, after, parts })
    }
    return changes
  }

  async #describe(
    side: keyof Sides,
    pairs: readonly Pair[],
  ): Promise<(Described | undefined)[]> {
    const placed = pairs.flatMap(pair => pair[side] ?? [])
    const { tree } = this.#sides[side]
    const entries = placed.map(({ entry }) => entry)
    const descriptions = await describeEntries(tree, this.#trail, entries)
    const described = new Map<Placed, Described>()
    for (const [at, one] of placed.entries()) {
      const description = descriptions[at]
      if (description === undefined) continue
      const { extras } = this.#sides[side]
      const time = extras?.findTime(one.ordinal)
      const links = extras?.findLinkSet(one.ordinal)
      described.set(one, { ...one, description, time, links })
    }
    return pairs.map(pair => {
      const one = pair[side]
      return one === undefined ? undefined : described.get(one)
    })
  }

  async #changedParts(before: Described, after: Described): Promise<ChangedPart[]> {
    const one = before.description
    const other = after.description
    const parts: ChangedPart[] = []
    if (one.kind !== other.kind) parts.push('type')
    parts.push(...changedHeaderParts(one, other))
    if (await this.#differsInContent(before.entry, after.entry)) parts.push('content')
    if (one.target !== undefined && other.target !== undefined) {
      if (!one.target.equals(other.target)) parts.push('target')
    }
    if (
      this.#compareLinks &&
      this.#linkSet('before', before) !== this.#linkSet('after', after)
    ) {
      parts.push('hard-links')
    }
    if (this.#compareTimes && !this.#sameTimes(before, after, 1)) {
      parts.push('modification-time')
    }
    return parts
  }

  #linkSet(side: keyof Sides, { ordinal }: Placed): string | undefined {
    return this.#sides[side].extras?.findLinkSet(ordinal)
  }

  #sameTimes(before: Placed, after: Placed, count: number): boolean {
    const one = this.#sides.before.extras
    const other = this.#sides.after.extras
    if (one === undefined || other === undefined) return true
    return one.sameTimes(before.ordinal, other, after.ordinal, count)
  }

  async #differsInContent(one: DirectoryEntry, other: DirectoryEntry): Promise<boolean> {
    if (one.kind !== 'regular' || other.kind !== 'regular') return false
    if (one.file.digest === other.file.digest) return false
    const algorithm = algorithmOf(other.file.digest)
    if (algorithmOf(one.file.digest).id === algorithm.id) return true
    if (one.file.size !== other.file.size) return true
    await using stream = await this.#sides.before.tree.objects.open(one.file.digest)
    const digester = createObjectDigester(algorithm, 'file')
    for await (const chunk of stream) {
      this.#options.signal?.throwIfAborted()
      digester.update(chunk)
    }
    return digester.digest() !== other.file.digest
  }

  // Whether nothing can differ in an entry and below it.
  #isSame({ before, after }: Pair): boolean {
    if (before === undefined || after === undefined) return false
    if (before.entry.header.digest !== after.entry.header.digest) return false
    if (before.entry.kind !== after.entry.kind) return false
    if (objectOf(before.entry) !== objectOf(after.entry)) return false
    const extras = this.#sides.before.extras ?? this.#sides.after.extras
    const count = extras?.countEntries(before.entry) ?? 1
    if (this.#compareLinks) {
      const one = this.#sides.before.extras?.hasLinksIn(before.ordinal, count)
      const other = this.#sides.after.extras?.hasLinksIn(after.ordinal, count)
      const single = before.entry.kind !== 'directory'
      const sets =
        single && this.#linkSet('before', before) === this.#linkSet('after', after)
      if ((one === true || other === true) && !sets) return false
    }
    return !this.#compareTimes || this.#sameTimes(before, after, count)
  }

  async #children(pair: Pair): Promise<Pair[]> {
    const before = await this.#placedEntries('before', pair.before)
    const after = await this.#placedEntries('after', pair.after)
    return pairByName(before, after)
  }

  async #placedEntries(
    side: keyof Sides,
    folder: Placed | undefined,
  ): Promise<readonly Placed[]> {
    if (folder?.entry.kind !== 'directory') return []
    const { tree, extras } = this.#sides[side]
    const directory = await tree.directory(folder.entry.directory)
    let next = folder.ordinal + 1
    const placed = Array.from(directory, entry => {
      const ordinal = next
      next += extras?.countEntries(entry) ?? 1
      return { entry, ordinal }
    })
    return placed.toSorted((one, other) =>
      Buffer.compare(one.entry.name, other.entry.name),
    )
  }

  #count(entries: number): void {
    const { maxEntries = defaultMaxEntries } = this.#options
    this.#seen += entries
    if (this.#seen <= maxEntries) return
    throw new LimitExceededError(
      `the trees have too many entries to be compared: expected at most ${maxEntries}`,
      { expected: maxEntries },
    )
  }
}

// Up to and with the next folder: what is in it comes before what follows it.
function nextPairs({ pairs, index }: Frame): readonly Pair[] {
  let end = index
  while (end < pairs.length && end - index < pairBatch) {
    const pair = pairs[end++]
    if (pair !== undefined && hasFolder(pair)) break
  }
  return pairs.slice(index, end)
}

function hasFolder({ before, after }: Pair): boolean {
  return before?.entry.kind === 'directory' || after?.entry.kind === 'directory'
}

function objectOf(entry: DirectoryEntry): Digest | string | undefined {
  if (entry.kind === 'regular') return entry.file.digest
  if (entry.kind === 'directory') return entry.directory.digest
  return entry.kind === 'symlink' ? entry.target.toString('latin1') : undefined
}

function changedHeaderParts(one: TreeEntry, other: TreeEntry): ChangedPart[] {
  const parts: ChangedPart[] = []
  const before: Header = one.header
  const after: Header = other.header
  if (permissionsOf(before.mode) !== permissionsOf(after.mode)) parts.push('permissions')
  if (before.uid !== after.uid || before.gid !== after.gid) parts.push('owner')
  if (!sameXattrs(before.xattrs, after.xattrs)) parts.push('xattrs')
  if (one.kind === other.kind && before.rdev !== after.rdev) parts.push('device')
  return parts
}

function sameXattrs(one: readonly Xattr[], other: readonly Xattr[]): boolean {
  if (one.length !== other.length) return false
  return one.every(({ key, value }, at) => {
    const pair = other[at]
    return pair !== undefined && pair.key.equals(key) && pair.value.equals(value)
  })
}
