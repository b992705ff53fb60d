import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { findKindOfStat } from '../../object/file-mode.js'
import type { Xattr } from '../../object/header.js'
import { timeOfNanoseconds } from '../../object/modification-times.js'
import { DirectoryDescent } from '../../system/directory-descent.js'
import { PathTrail } from '../path-trail.js'
import { makeHeader, readXattrs } from '../source/source-header.js'
import type { SourcePlace } from '../source/source-place.js'
import { callAt, notRepresentable } from '../source/source-problem.js'
import { look, StableFile } from '../source/stable-file.js'
import type { ChangedNode, LayerChange } from './layer-change.js'
import { LowerFolders } from './lower-folders.js'
import { isWhiteout, type OverlayNamespace, readMarks } from './overlay-marks.js'
import { isSameEntry } from './same-entry.js'

/** How folders are looked at. */
export type FolderChangesOptions = { readonly signal?: AbortSignal | undefined }

/** The upper folder of an overlay, with the lower ones it stands on. */
export type OverlayFolders = {
  readonly upper: string | Buffer
  /** Topmost first, as in the option `lowerdir`; each may itself have an overlay's marks. */
  readonly lowers: readonly (string | Buffer)[]
  /** Where marks are; `trusted` unless the overlay is mounted with `userxattr`. */
  readonly namespace?: OverlayNamespace
}

/**
 * Tells what an upper folder has otherwise than a lower one, by containerd's rule
 * (isSameEntry): both are whole trees, such as mounted snapshots.
 *
 * Without a lower folder, everything is added. Files are read only for their changes'
 * `content`. No link is followed; what changes meanwhile is SourceChangedError.
 */
export async function* folderChanges(
  lower: string | Buffer | undefined,
  upper: string | Buffer,
  options: FolderChangesOptions = {},
): AsyncGenerator<LayerChange, void, void> {
  const lowers = lower === undefined ? [] : [lower]
  using walk = new ChangesWalk({ upper, lowers }, undefined, options)
  yield* walk.run()
}

/**
 * Tells what the upper folder of an overlay changes, from that folder alone: character
 * devices 0:0 are deletions, opaque folders hide what is below them.
 *
 * Everything in it counts as a change, but for folders that are as below. A deletion of
 * what no lower folder has is passed over. Throws NotRepresentableError for entries that
 * are not whole there (`metacopy`, `redirect_dir`).
 */
export async function* overlayChanges(
  folders: OverlayFolders,
  options: FolderChangesOptions = {},
): AsyncGenerator<LayerChange, void, void> {
  using walk = new ChangesWalk(folders, folders.namespace ?? 'trusted', options)
  yield* walk.run()
}

const dot = Buffer.from('.')
const noBytes = Buffer.alloc(0)
const chunkBytes = 1024 * 1024

type Seen = {
  readonly place: SourcePlace
  readonly stat: BigIntStats
  readonly xattrs: readonly Xattr[]
  readonly isOpaque: boolean
}

class ChangesWalk implements Disposable {
  readonly #upper: DirectoryDescent
  readonly #lowers: LowerFolders
  readonly #marks: OverlayNamespace | undefined
  readonly #options: FolderChangesOptions
  readonly #trail = new PathTrail()

  constructor(
    folders: OverlayFolders,
    marks: OverlayNamespace | undefined,
    options: FolderChangesOptions,
  ) {
    this.#marks = marks
    this.#options = options
    this.#upper = new DirectoryDescent(folders.upper)
    try {
      this.#lowers = new LowerFolders(folders.lowers, marks)
    } catch (error) {
      this.#upper[Symbol.dispose]()
      throw error
    }
  }

  async *run(): AsyncGenerator<LayerChange, void, void> {
    const root = this.#see(dot)
    yield this.#compare(root, dot, noBytes)
    const levels: Buffer[][] = [this.#names()]
    for (let names = levels.at(-1); names !== undefined; names = levels.at(-1)) {
      this.#options.signal?.throwIfAborted()
      const name = names.pop()
      if (name === undefined) {
        levels.pop()
        if (levels.length > 0) this.#leave()
        continue
      }
      const path = this.#trail.at(name)
      const seen = this.#findUpper(name)
      if (seen === undefined) {
        if (this.#lowers.find(name) !== undefined) yield { kind: 'deleted', path }
        continue
      }
      const change = this.#compare(seen, name, path)
      const isFolder = seen.stat.isDirectory()
      if (change.kind !== 'unchanged' || isFolder || seen.stat.nlink > 1n) yield change
      if (!isFolder) continue
      this.#enter(seen, name)
      levels.push(this.#names())
    }
  }

  [Symbol.dispose](): void {
    this.#upper[Symbol.dispose]()
    this.#lowers[Symbol.dispose]()
  }

  // Last one first. Of an overlay only what the upper folder has; else what either has.
  #names(): Buffer[] {
    const names = new Map<string, Buffer>()
    const folders = this.#marks === undefined ? this.#lowers.folders : []
    for (const descent of [this.#upper, ...folders]) {
      for (const name of readdirSync(descent.path(dot), { encoding: 'buffer' })) {
        names.set(name.toString('latin1'), name)
      }
    }
    return [...names.values()].toSorted((one, other) => Buffer.compare(other, one))
  }

  #findUpper(name: Buffer): Seen | undefined {
    if (this.#marks === undefined && !this.#isInUpper(name)) return undefined
    const seen = this.#see(name)
    return this.#marks !== undefined && isWhiteout(seen.stat) ? undefined : seen
  }

  #isInUpper(name: Buffer): boolean {
    return this.#lowers.find(name) === undefined || isThere(this.#upper.path(name))
  }

  #see(name: Buffer): Seen {
    const path = this.#upper.path(name)
    const place = { folder: undefined, name: this.#trail.at(name), path }
    const stat = look(place)
    const xattrs = readXattrs(place, path)
    const marks =
      this.#marks === undefined
        ? { xattrs, isOpaque: false }
        : readMarks(place, xattrs, this.#marks)
    return { place, stat, ...marks }
  }

  #compare(
    seen: Seen,
    name: Buffer,
    path: Buffer,
  ): LayerChange & { readonly kind: 'added' | 'modified' | 'unchanged' } {
    const node = nodeOf(seen)
    const { isOpaque } = seen
    const lower = this.#lowers.find(name)
    if (lower === undefined) return { kind: 'added', path, node, isOpaque: false }
    // What an overlay has copied up was changed, as far as anyone can tell.
    const isSame =
      (this.#marks === undefined || seen.stat.isDirectory()) &&
      !isOpaque &&
      isSameEntry(
        { ...seen, path: seen.place.path },
        { ...lower, xattrs: this.#lowerXattrs(seen.place, lower.path) },
        { folderTimes: this.#marks !== undefined },
      )
    return { kind: isSame ? 'unchanged' : 'modified', path, node, isOpaque }
  }

  #lowerXattrs({ name }: SourcePlace, path: Buffer): readonly Xattr[] {
    const place = { folder: undefined, name, path }
    const xattrs = readXattrs(place, path)
    return this.#marks === undefined
      ? xattrs
      : readMarks(place, xattrs, this.#marks).xattrs
  }

  #enter({ place, isOpaque }: Seen, name: Buffer): void {
    callAt(place, () => this.#upper.enter(name))
    this.#lowers.enter(name, { isOpaque })
    this.#trail.enter(name)
  }

  #leave(): void {
    this.#upper.leave()
    this.#lowers.leave()
    this.#trail.leave()
  }
}

function isThere(path: Buffer): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function nodeOf({ place, stat, xattrs }: Seen): ChangedNode {
  const kind = findKindOfStat(Number(stat.mode))
  if (kind === undefined) throw notRepresentable(place, 'unknown type of entry')
  const header = makeHeader(place, stat, xattrs)
  const target =
    kind === 'symlink'
      ? callAt(place, () => readlinkSync(place.path, { encoding: 'buffer' }))
      : noBytes
  return {
    kind,
    header,
    time: timeOfNanoseconds(stat.mtimeNs),
    size: kind === 'regular' ? Number(stat.size) : 0,
    target,
    links:
      kind !== 'directory' && stat.nlink > 1n ? `${stat.dev}:${stat.ino}` : undefined,
    content: () => readFile(place, stat),
  }
}

async function* readFile(
  place: SourcePlace,
  seen: BigIntStats,
): AsyncGenerator<Uint8Array, void, void> {
  using file = new StableFile(place, seen)
  const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, file.size + 1))
  for (;;) {
    const length = file.read(chunk)
    if (length > 0) yield chunk.subarray(0, length)
    if (length < chunk.length) break
  }
  file.checkUnchanged()
}
