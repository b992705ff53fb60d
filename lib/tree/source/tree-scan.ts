import { fstatSync } from 'node:fs'
import { SourceChangedError } from '../../errors.js'
import type { DirectoryLink } from '../../object/directory.js'
import { findNameProblem } from '../../object/entry-name.js'
import type { HardLinkGroup } from '../../object/hard-links.js'
import type { Header } from '../../object/header.js'
import {
  type ModificationTime,
  timeOfNanoseconds,
} from '../../object/modification-times.js'
import type { StoreSession } from '../../store/object-store.js'
import type { DirectoryDescent } from '../../system/directory-descent.js'
import { type AwaitedFile, FilesAhead } from './ahead/files-ahead.js'
import { EntryReader, type Moment, type ReadEntry } from './entry-reader.js'
import { EntryTimes } from './entry-times.js'
import { HardLinkTable } from './hard-link-table.js'
import { ObjectBatch } from './object-batch.js'
import { PendingDirectory, type WaitingEntry } from './pending-directory.js'
import { makeHeader } from './source-header.js'
import { readNames, type SourceName, type SourceNames } from './source-names.js'
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
import { retryLongWhileChanging, retryWhileChanging } from './stable-retry.js'
import type { StoreStats, WalkOptions } from './store-options.js'

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
  await using scan = new TreeScan(source, session, options)
  return await scan.run()
}

/** A file that is read beside the walk. */
type ScannedFile = AwaitedFile & {
  readonly entry: WaitingEntry
  readonly folder: SourceFolder
  /** Its place in walk order. */
  readonly ordinal: number
}

type Level = {
  readonly folder: SourceFolder
  readonly directory: PendingDirectory
  readonly names: SourceNames
  next: number
}

class TreeScan implements AsyncDisposable {
  readonly #options: ScanOptions
  readonly #batch: ObjectBatch
  readonly #hardLinks = new HardLinkTable()
  readonly #reader: EntryReader
  readonly #times: EntryTimes | undefined
  readonly #root: SourceFolder
  readonly #descent: DirectoryDescent
  readonly #ahead: FilesAhead<ScannedFile> | undefined
  readonly #levels: Level[] = []
  readonly #progress = { entries: 0, files: 0, bytes: 0 }

  constructor(source: string | Buffer, session: StoreSession, options: ScanOptions) {
    this.#options = options
    this.#batch = new ObjectBatch(session)
    this.#reader = new EntryReader({
      session,
      batch: this.#batch,
      hardLinks: this.#hardLinks,
      symlinkXattrs: options.symlinkXattrs,
      cache: options.cache,
    })
    this.#times = options.mtimes ? new EntryTimes() : undefined
    this.#root = { parent: undefined, name: Buffer.from(source) }
    this.#descent = openRoot(this.#root.name)
    // What is left out leaves no gap in the walk order only where it is missed at once.
    if (options.onProblem === undefined) {
      this.#ahead = FilesAhead.find<ScannedFile>(session, this.#descent, {
        onStored: ({ file }, state) => this.#reader.notePlain(state, file),
        onLeftAlone: async (file, path) => this.#readLeftAlone(file, path),
      })
    }
  }

  async run(): Promise<ScannedTree> {
    this.#options.signal?.throwIfAborted()
    const root = this.#readDirectory(this.#root)
    this.#countEntry(timeOfNanoseconds(root.moment.stat.mtimeNs))
    this.#levels.push(root.level)
    for (let level = this.#levels.at(-1); level; level = this.#levels.at(-1)) {
      const streaming = this.#step(level)
      // Most steps end at once, and cost no promise.
      if (streaming !== undefined) await streaming
      if (this.#ahead?.isFull === true) await this.#sendFiles(this.#ahead)
      if (this.#batch.isFull) await this.#flush()
    }
    await this.#ahead?.finish()
    await this.#batch.drain()
    this.#options.cache?.settle()
    this.#reportProgress()
    const { stat, xattrs } = root.moment
    const { link, totals } = root.level.directory.slot
    if (link === undefined || totals === undefined) {
      throw new Error('the root directory was not stored')
    }
    return {
      rootHeader: makeHeader(placeOf(this.#root), stat, xattrs),
      rootDirectory: { ...link, ...totals },
      hardLinks: this.#hardLinks.findGroups(),
      modificationTimes: this.#times?.finish(),
      stats: { ...this.#progress, leftOut: this.#reader.hasXattrs ? [] : ['xattrs'] },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#descent[Symbol.dispose]()
    await this.#ahead?.[Symbol.asyncDispose]()
  }

  async #sendFiles(ahead: FilesAhead<ScannedFile>): Promise<void> {
    this.#options.signal?.throwIfAborted()
    await ahead.send()
    this.#options.cache?.settle()
    this.#reportProgress()
  }

  async #flush(): Promise<void> {
    this.#options.signal?.throwIfAborted()
    await this.#batch.flush()
    this.#options.cache?.settle()
    this.#reportProgress()
  }

  /** Goes one entry on; a promise only where that takes its time. */
  #step(level: Level): Promise<void> | undefined {
    const next = level.names.at(level.next++)
    if (next === undefined) {
      this.#leave(level)
      return undefined
    }
    try {
      if (next.kind !== 'directory') return this.#visit(level, next)
      this.#enter(level, next.name)
    } catch (error) {
      this.#report(error)
    }
    return undefined
  }

  #enter(level: Level, name: Buffer): void {
    const folder = { parent: level.folder, name }
    const place = placeOf(folder)
    checkName(place)
    const inner = retryWhileChanging(() => {
      callAt(place, () => this.#descent.enter(name))
      try {
        return this.#readDirectory(folder)
      } catch (error) {
        this.#leaveFolder(folder)
        throw error
      }
    })
    level.directory.add(name, {
      kind: 'directory',
      header: this.#reader.addHeader(place, inner.moment),
      directory: inner.level.directory.slot,
    })
    this.#countEntry(timeOfNanoseconds(inner.moment.stat.mtimeNs))
    this.#levels.push(inner.level)
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
  #readDirectory(folder: SourceFolder): { moment: Moment; level: Level } {
    const place = { ...placeOf(folder), path: this.#descent.here }
    const { fd } = this.#descent
    const lookAtIt = () => callAt(place, () => fstatSync(fd, { bigint: true }))
    const moment = retryWhileChanging(() => this.#reader.see(place, lookAtIt, fd))
    this.#reader.enterFolder(fd)
    const names = callAt(place, () => readNames(place.path, fd))
    const directory = new PendingDirectory(folder, names)
    return { moment, level: { folder, directory, names, next: 0 } }
  }

  #visit(level: Level, { name, kind }: SourceName): Promise<void> | undefined {
    if (kind === 'regular' && this.#visitPlain(level, name)) return undefined
    const place = { folder: level.folder, name, path: this.#descent.path(name) }
    checkName(place)
    const entry = retryWhileChanging(() => this.#reader.read(place))
    if (entry === undefined) return this.#visitLarge(level, place)
    this.#addEntry(level, name, entry)
    return undefined
  }

  #visitPlain(level: Level, name: Buffer): boolean {
    const ahead = this.#ahead
    if (ahead === undefined || findNameProblem(name) !== undefined) return false
    const plain = this.#reader.lookAtPlain(this.#descent.fd, name)
    if (plain === undefined) return false
    const { state, content } = plain
    const { size } = state
    const entry = level.directory.add(name, content)
    if (content.file.link === undefined) {
      const { folder } = level
      const ordinal = this.#progress.entries
      ahead.add(folder, { name, size, file: content.file, entry, folder, ordinal }, state)
    }
    this.#progress.files++
    this.#progress.bytes += size
    this.#countEntry({
      seconds: state.modifiedSeconds,
      nanoseconds: state.modifiedNanoseconds,
    })
    return true
  }

  /** Reads a file that turned out to need care. */
  async #readLeftAlone(file: ScannedFile, path: Buffer): Promise<void> {
    const { entry, folder, name, ordinal, size } = file
    const place = { folder, name, path }
    const read =
      retryWhileChanging(() => this.#reader.read(place)) ?? (await this.#readLarge(place))
    entry.content = read.content
    this.#hardLinks.add(read.stat, ordinal, read.content)
    this.#times?.set(ordinal, timeOfNanoseconds(read.stat.mtimeNs))
    if (read.content.kind !== 'regular') this.#progress.files--
    this.#progress.bytes += read.bytes - size
  }

  async #visitLarge(level: Level, place: SourcePlace): Promise<void> {
    try {
      this.#addEntry(level, place.name, await this.#readLarge(place))
    } catch (error) {
      this.#report(error)
    }
  }

  async #readLarge(place: SourcePlace): Promise<ReadEntry> {
    return retryLongWhileChanging(() =>
      this.#reader.readLarge(place, {
        signal: this.#options.signal,
        onBytes: bytes => this.#reportProgress(bytes),
      }),
    )
  }

  #addEntry(level: Level, name: Buffer, { stat, content, bytes }: ReadEntry): void {
    level.directory.add(name, content)
    this.#hardLinks.add(stat, this.#progress.entries, content)
    if (content.kind === 'regular') this.#progress.files++
    this.#progress.bytes += bytes
    this.#countEntry(timeOfNanoseconds(stat.mtimeNs))
  }

  #countEntry(modified: ModificationTime): void {
    this.#progress.entries++
    this.#batch.countEntry()
    this.#times?.add(modified)
  }

  #reportProgress(bytesUnderWay = 0): void {
    const { entries, files, bytes } = this.#progress
    this.#options.onProgress?.({ entries, files, bytes: bytes + bytesUnderWay })
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
