import { type BigIntStats, fstatSync, readlinkSync } from 'node:fs'
import { SourceChangedError } from '../errors.js'
import type { HardLinkGroup } from '../object/application-extension.js'
import type { DirectoryLink } from '../object/directory.js'
import { findNameProblem } from '../object/entry-name.js'
import { type EntryKind, findKindOfStat } from '../object/file-mode.js'
import type { Header, Xattr } from '../object/header.js'
import {
  type ModificationTime,
  ModificationTimesEncoder,
} from '../object/modification-times.js'
import type { StoreSession } from '../store/object-store.js'
import type { DirectoryDescent } from '../system/directory-descent.js'
import { hasNativeCalls } from '../system/libc.js'
import type { XattrTarget } from '../system/xattr.js'
import { HardLinkTable } from './hard-link-table.js'
import { HeaderCache } from './header-cache.js'
import { maxWholeBytes, ObjectBatch } from './object-batch.js'
import { type PendingContent, PendingDirectory } from './pending-directory.js'
import { makeHeader, readXattrs } from './source-header.js'
import { readNames, type SourceName } from './source-names.js'
import {
  type NamedPlace,
  placeOf,
  type SourceFolder,
  type SourcePlace,
} from './source-place.js'
import {
  callAt,
  changedError,
  isSourceProblem,
  notRepresentable,
} from './source-problem.js'
import { openRoot } from './source-root.js'
import { describeChange, look, StableFile } from './stable-file.js'
import { retryLongWhileChanging, retryWhileChanging } from './stable-retry.js'
import type { StoreStats, WalkOptions } from './store-options.js'
import { streamFile } from './stream-file.js'

/** A stored tree, without the object that would name it. */
export type ScannedTree = {
  /** Not stored: only an application refers to it. */
  readonly rootHeader: Header
  readonly rootDirectory: DirectoryLink
  readonly hardLinks: readonly HardLinkGroup[] | undefined
  readonly modificationTimes: Buffer | undefined
  readonly stats: StoreStats
}

/** What of a tree is read. */
export type ScanOptions = WalkOptions & {
  readonly mtimes: boolean
  readonly symlinkXattrs: boolean
}

/** Stores what is below a folder, children before parents. */
export async function scanTree(
  source: string | Buffer,
  session: StoreSession,
  options: ScanOptions,
): Promise<ScannedTree> {
  using scan = new TreeScan(source, session, options)
  return await scan.run()
}

type Level = {
  readonly folder: SourceFolder
  readonly directory: PendingDirectory
  readonly names: readonly SourceName[]
  next: number
}

/** An entry's own state, seen at one moment. */
type Moment = { readonly stat: BigIntStats; readonly xattrs: readonly Xattr[] }

type SeenEntry = { readonly stat: BigIntStats; readonly content: PendingContent }

class TreeScan implements Disposable {
  readonly #session: StoreSession
  readonly #options: ScanOptions
  readonly #batch: ObjectBatch
  readonly #headers: HeaderCache
  readonly #hardLinks = new HardLinkTable()
  readonly #times: ModificationTimesEncoder | undefined
  readonly #hasXattrs = hasNativeCalls()
  readonly #root: SourceFolder
  readonly #descent: DirectoryDescent
  readonly #levels: Level[] = []
  readonly #progress = { entries: 0, files: 0, bytes: 0 }

  constructor(source: string | Buffer, session: StoreSession, options: ScanOptions) {
    this.#session = session
    this.#options = options
    this.#batch = new ObjectBatch(session)
    this.#headers = new HeaderCache(this.#batch)
    this.#times = options.mtimes ? new ModificationTimesEncoder() : undefined
    this.#root = { parent: undefined, name: Buffer.from(source) }
    this.#descent = openRoot(this.#root.name)
  }

  async run(): Promise<ScannedTree> {
    const root = this.#readDirectory(this.#root)
    this.#countEntry(root.moment.stat)
    this.#levels.push(root.level)
    for (let level = this.#levels.at(-1); level; level = this.#levels.at(-1)) {
      const streaming = this.#step(level)
      // Most steps end at once, and cost no promise.
      if (streaming !== undefined) await streaming
      if (this.#batch.isFull) await this.#flush()
    }
    await this.#batch.drain()
    this.#options.onProgress?.({ ...this.#progress })
    const { link, totals } = root.level.directory.slot
    if (link === undefined || totals === undefined) {
      throw new Error('the root directory was not stored')
    }
    return {
      rootHeader: root.header,
      rootDirectory: { ...link, ...totals },
      hardLinks: this.#hardLinks.findGroups(),
      modificationTimes: this.#times?.finish(),
      stats: { ...this.#progress, leftOut: this.#hasXattrs ? [] : ['xattrs'] },
    }
  }

  [Symbol.dispose](): void {
    this.#descent[Symbol.dispose]()
  }

  async #flush(): Promise<void> {
    this.#options.signal?.throwIfAborted()
    await this.#batch.flush()
    this.#options.onProgress?.({ ...this.#progress })
  }

  #step(level: Level): Promise<void> | undefined {
    const next = level.names[level.next++]
    if (next === undefined) {
      this.#leave(level)
      return undefined
    }
    try {
      if (!next.isDirectory) return this.#visit(level, next.name)
      this.#enter(level, next.name)
    } catch (error) {
      this.#report(error)
    }
    return undefined
  }

  #enter(level: Level, name: Buffer): void {
    const folder = { parent: level.folder, name }
    checkName(placeOf(folder))
    const {
      moment,
      header,
      level: inner,
    } = retryWhileChanging(() => {
      callAt(placeOf(folder), () => this.#descent.enter(name))
      try {
        return this.#readDirectory(folder)
      } catch (error) {
        this.#leaveFolder(folder)
        throw error
      }
    })
    level.directory.add(name, {
      kind: 'directory',
      header: this.#headers.add(header),
      directory: inner.directory.slot,
    })
    this.#countEntry(moment.stat)
    this.#levels.push(inner)
  }

  #leave(level: Level): void {
    this.#levels.pop()
    if (this.#levels.length > 0) this.#leaveFolder(level.folder)
    this.#batch.addDirectory(level.directory)
  }

  #leaveFolder(folder: SourceFolder): void {
    const place = placeOf(folder)
    try {
      callAt(place, () => this.#descent.leave())
    } catch (error) {
      if (!(error instanceof SourceChangedError)) throw error
      throw changedError(place, 'was moved elsewhere', { cause: error })
    }
  }

  /** Reads the innermost directory: its own state, and the names in it. */
  #readDirectory(folder: SourceFolder): { moment: Moment; header: Header; level: Level } {
    const place = { ...placeOf(folder), path: this.#descent.here }
    const { fd } = this.#descent
    const lookAtIt = () => callAt(place, () => fstatSync(fd, { bigint: true }))
    const moment = retryWhileChanging(() => this.#see(place, lookAtIt, fd))
    const header = makeHeader(place, moment.stat, moment.xattrs)
    const names = callAt(place, () => readNames(place.path))
    const directory = new PendingDirectory(folder)
    return { moment, header, level: { folder, directory, names, next: 0 } }
  }

  #visit(level: Level, name: Buffer): Promise<void> | undefined {
    const place = { folder: level.folder, name, path: this.#descent.path(name) }
    checkName(place)
    const found = retryWhileChanging(() => this.#findContent(place))
    if (found === undefined) return this.#visitLarge(level, place)
    this.#addEntry(level, name, found)
    return undefined
  }

  /** Stores an entry that is no directory; undefined for a file too large for a batch. */
  #findContent(place: SourcePlace): SeenEntry | undefined {
    const seen = look(place)
    const kind = findKindOfStat(Number(seen.mode))
    if (kind === 'directory') throw changedError(place, 'became a folder')
    if (kind === undefined) {
      throw notRepresentable(place, `unknown type in mode ${seen.mode.toString(8)}`)
    }
    const known = this.#hardLinks.find(seen)
    if (known !== undefined) {
      if (known.change === undefined) return { stat: seen, content: known.content }
      throw changedError(place, `${known.change}, after it was stored by another name`)
    }
    if (kind !== 'regular') return this.#storeSpecial(place, kind)
    return seen.size > maxWholeBytes ? undefined : this.#storeSmall(place, seen)
  }

  #storeSpecial(
    place: SourcePlace,
    kind: Exclude<EntryKind, 'regular' | 'directory'>,
  ): SeenEntry {
    if (kind !== 'symlink') {
      const moment = this.#see(place, () => look(place), place.path)
      const header = this.#headers.add(makeHeader(place, moment.stat, moment.xattrs))
      return { stat: moment.stat, content: { kind, header } }
    }
    let target = Buffer.alloc(0)
    const lookAtLink = () => {
      const stat = look(place)
      target = callAt(place, () => readlinkSync(place.path, { encoding: 'buffer' }))
      return stat
    }
    const xattrTarget = this.#options.symlinkXattrs ? place.path : undefined
    const moment = this.#see(place, lookAtLink, xattrTarget)
    const header = this.#headers.add(makeHeader(place, moment.stat, moment.xattrs))
    return { stat: moment.stat, content: { kind, header, target } }
  }

  #storeSmall(place: SourcePlace, seen: BigIntStats): SeenEntry | undefined {
    using file = new StableFile(place, seen)
    const xattrs = this.#hasXattrs ? readXattrs(place, file.fd) : []
    const room = this.#batch.room(file.size + 1)
    file.read(room)
    file.checkUnchanged()
    const content: PendingContent = {
      kind: 'regular',
      header: this.#headers.add(makeHeader(place, file.stat, xattrs)),
      file: this.#batch.addFile(room.subarray(0, file.size)),
    }
    this.#progress.bytes += file.size
    return { stat: file.stat, content }
  }

  async #visitLarge(level: Level, place: SourcePlace): Promise<void> {
    try {
      const found = await retryLongWhileChanging(() => this.#storeLarge(place))
      this.#addEntry(level, place.name, found)
    } catch (error) {
      this.#report(error)
    }
  }

  async #storeLarge(place: SourcePlace): Promise<SeenEntry> {
    using file = this.#openAgain(place)
    const xattrs = this.#hasXattrs ? readXattrs(place, file.fd) : []
    const header = makeHeader(place, file.stat, xattrs)
    const link = await streamFile(file, this.#session, {
      signal: this.#options.signal,
      onBytes: bytes => {
        this.#options.onProgress?.({
          ...this.#progress,
          bytes: this.#progress.bytes + bytes,
        })
      },
    })
    this.#progress.bytes += file.size
    const content: PendingContent = {
      kind: 'regular',
      header: this.#headers.add(header),
      file: { link },
    }
    return { stat: file.stat, content }
  }

  #openAgain(place: SourcePlace): StableFile {
    const seen = look(place)
    if (!seen.isFile()) throw changedError(place, 'is no regular file any more')
    return new StableFile(place, seen)
  }

  /** Looks at an entry before and after its attributes are read: no change between. */
  #see(
    place: SourcePlace,
    lookAgain: () => BigIntStats,
    xattrTarget: XattrTarget | undefined,
  ): Moment {
    const stat = lookAgain()
    const isRead = this.#hasXattrs && xattrTarget !== undefined
    const xattrs = isRead ? readXattrs(place, xattrTarget) : []
    const change = describeChange(stat, lookAgain())
    if (change !== undefined) throw changedError(place, change)
    return { stat, xattrs }
  }

  #addEntry(level: Level, name: Buffer, { stat, content }: SeenEntry): void {
    level.directory.add(name, content)
    this.#hardLinks.add(stat, this.#progress.entries, content)
    if (content.kind === 'regular') this.#progress.files++
    this.#countEntry(stat)
  }

  #countEntry(stat: BigIntStats): void {
    this.#progress.entries++
    this.#batch.countEntry()
    this.#times?.add(splitTime(stat.mtimeNs))
  }

  #report(error: unknown): void {
    const { onProblem } = this.#options
    if (onProblem === undefined || !isSourceProblem(error)) throw error
    onProblem(error)
  }
}

function checkName(place: NamedPlace): void {
  const problem = findNameProblem(place.name)
  if (problem !== undefined) throw notRepresentable(place, `its name ${problem}`)
}

const second = 1_000_000_000n

function splitTime(nanoseconds: bigint): ModificationTime {
  const rest = nanoseconds % second
  const positive = rest < 0n ? rest + second : rest
  return { seconds: (nanoseconds - positive) / second, nanoseconds: Number(positive) }
}
