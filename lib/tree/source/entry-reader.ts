import { type BigIntStats, readlinkSync } from 'node:fs'
import type { Digest } from '../../object/digest.js'
import { type EntryKind, findKindOfStat } from '../../object/file-mode.js'
import type { Xattr } from '../../object/header.js'
import type { StoreSession } from '../../store/object-store.js'
import { DirectCalls, FileState } from '../../system/direct-calls.js'
import { hasNativeCalls } from '../../system/libc.js'
import type { XattrTarget } from '../../system/xattr.js'
import { maxWholeFileBytes } from './ahead/file-batch.js'
import type { HardLinkTable } from './hard-link-table.js'
import { HeaderCache } from './header-cache.js'
import { maxWholeBytes, type ObjectBatch } from './object-batch.js'
import type { PendingContent, RegularContent, Slot } from './pending-directory.js'
import { makeHeader, readXattrs } from './source-header.js'
import type { NamedPlace, SourcePlace } from './source-place.js'
import { callAt, changedError, notRepresentable } from './source-problem.js'
import { describeChange, look, StableFile } from './stable-file.js'
import { deviceOf } from './stat-cache/file-key.js'
import type { StatCache } from './stat-cache/stat-cache.js'
import { type StreamOptions, streamFile } from './stream-file.js'

const typeMask = 0o170000
const regular = 0o100000

/** An entry's own state at one moment. */
export type Moment = { readonly stat: BigIntStats; readonly xattrs: readonly Xattr[] }

/** An entry that is stored, or waits in the batch. */
export type ReadEntry = {
  readonly stat: BigIntStats
  readonly content: PendingContent
  /** Content bytes that had to be read for it. */
  readonly bytes: number
}

/** A file that seems to need no care. */
export type PlainFile = {
  /** Good until the next look. */
  readonly state: FileState
  /** Its file has a link if what is in it is known. */
  readonly content: RegularContent
}

/** What an EntryReader reads with. */
export type EntryReaderParts = {
  readonly session: StoreSession
  readonly batch: ObjectBatch
  readonly hardLinks: HardLinkTable
  readonly symlinkXattrs: boolean
  readonly cache?: StatCache | undefined
}

/**
 * Reads single entries and hands their objects to a batch or a session.
 *
 * Methods throw SourceChangedError when two looks at an entry differ: then nothing was
 * handed on, and they can be called again.
 */
export class EntryReader {
  readonly hasXattrs = hasNativeCalls()
  readonly #parts: EntryReaderParts
  readonly #headers: HeaderCache
  readonly #calls = DirectCalls.find()
  readonly #state = new FileState()

  constructor(parts: EntryReaderParts) {
    this.#parts = parts
    this.#headers = new HeaderCache(parts.batch)
  }

  /** Looks at an entry before and after its attributes are read: no change between. */
  see(
    place: SourcePlace,
    lookAtIt: () => BigIntStats,
    xattrTarget: XattrTarget | undefined,
  ): Moment {
    const stat = lookAtIt()
    const xattrs = xattrTarget === undefined ? [] : this.#readXattrs(place, xattrTarget)
    const change = describeChange(stat, lookAtIt())
    if (change !== undefined) throw changedError(place, change)
    return { stat, xattrs }
  }

  /** Hands on the header of an entry. */
  addHeader(place: NamedPlace, { stat, xattrs }: Moment): Slot {
    return this.#headers.add(makeHeader(place, stat, xattrs))
  }

  /**
   * Looks at an entry of an open folder; undefined unless it is a regular file with one
   * name, of at most maxWholeFileBytes. Then nothing is known of it.
   */
  lookAtPlain(folder: number, name: Buffer): PlainFile | undefined {
    const state = this.#state
    if (this.#calls?.seeAt(folder, name, state) !== true) return undefined
    if ((state.mode & typeMask) !== regular || state.links !== 1) return undefined
    if (state.size > maxWholeFileBytes) return undefined
    const header = this.#headers.addPlain(state.mode, state.uid, state.gid)
    const { cache } = this.#parts
    const digest = cache && this.#findKnown(cache, state)
    const link = digest && { digest, size: state.size }
    return { state, content: { kind: 'regular', header, file: { link } } }
  }

  /** Remembers a file without attributes that was stored in this state. */
  notePlain(state: FileState, slot: Slot): void {
    const { cache } = this.#parts
    if (cache === undefined) return
    cache.key.setState(state)
    cache.note(state.device, { isBare: true }, slot)
  }

  /** Learns what filesystem an open folder is on, for the files in it. */
  enterFolder(folder: number): void {
    const { cache } = this.#parts
    if (cache === undefined) return
    const state = this.#state
    if (this.#calls?.see(folder, state) === true) cache.learn(state.device, folder)
  }

  /** Reads what is no directory; undefined for a file that is too large for a batch. */
  read(place: SourcePlace): ReadEntry | undefined {
    const seen = look(place)
    const kind = findKindOfStat(Number(seen.mode))
    if (kind === 'directory') throw changedError(place, 'became a folder')
    if (kind === undefined) {
      throw notRepresentable(place, `unknown type in mode ${seen.mode.toString(8)}`)
    }
    const known = this.#parts.hardLinks.find(seen)
    if (known !== undefined) {
      if (known.change === undefined) {
        return { stat: seen, content: known.content, bytes: 0 }
      }
      throw changedError(place, `${known.change}, after it was stored by another name`)
    }
    if (kind === 'symlink') return this.#readSymlink(place, seen)
    if (kind !== 'regular') return this.#readSpecial(place, kind)
    return seen.size > maxWholeBytes ? undefined : this.#readSmall(place, seen)
  }

  /** Stores a regular file of any size. */
  async readLarge(place: SourcePlace, options: StreamOptions): Promise<ReadEntry> {
    const seen = look(place)
    if (!seen.isFile()) throw changedError(place, 'is no regular file any more')
    using file = new StableFile(place, seen)
    const { stat } = file
    const xattrs = this.#readXattrs(place, file.fd)
    const known = this.#findContent(file)
    if (known !== undefined) file.checkUnchanged()
    const slot = known ?? {
      link: await streamFile(file, this.#parts.session, options),
    }
    if (known === undefined) this.#note(stat, xattrs, slot)
    const header = this.addHeader(place, { stat, xattrs })
    return {
      stat,
      bytes: Number(stat.size),
      content: { kind: 'regular', header, file: slot },
    }
  }

  #readSmall(place: SourcePlace, seen: BigIntStats): ReadEntry {
    const { batch } = this.#parts
    using file = new StableFile(place, seen)
    const { stat, size } = file
    const xattrs = this.#readXattrs(place, file.fd)
    const known = this.#findContent(file)
    const room = batch.room(size + 1)
    if (known === undefined) file.read(room)
    file.checkUnchanged()
    const header = this.addHeader(place, { stat, xattrs })
    const slot = known ?? batch.addFile(room.subarray(0, size))
    if (known === undefined) this.#note(stat, xattrs, slot)
    return { stat, bytes: size, content: { kind: 'regular', header, file: slot } }
  }

  /** The digest of a file in this state, if the store has it and it has no attributes. */
  #findKnown(cache: StatCache, state: FileState): Digest | undefined {
    cache.key.setState(state)
    const known = cache.find(state.device)
    if (known?.isBare !== true) return undefined
    return this.#has(known.digest, state.size) ? known.digest : undefined
  }

  /** The content of an open file, if it is known and the store has it. */
  #findContent({ stat, size }: StableFile): Slot | undefined {
    const { cache } = this.#parts
    if (cache === undefined) return undefined
    cache.key.setStat(stat)
    const digest = cache.find(deviceOf(stat))?.digest
    if (digest === undefined || !this.#has(digest, size)) return undefined
    return { link: { digest, size } }
  }

  #has(digest: Digest, size: number): boolean {
    const info = this.#parts.session.find(digest)
    return info?.type === 'file' && info.size === size
  }

  #note(stat: BigIntStats, xattrs: readonly Xattr[], slot: Slot): void {
    const { cache } = this.#parts
    // Without the native part, attributes would go unseen.
    if (cache === undefined || !this.hasXattrs) return
    cache.key.setStat(stat)
    cache.note(deviceOf(stat), { isBare: xattrs.length === 0 }, slot)
  }

  #readSymlink(place: SourcePlace, seen: BigIntStats): ReadEntry {
    const target = callAt(place, () => readlinkSync(place.path, { encoding: 'buffer' }))
    const xattrs = this.#parts.symlinkXattrs ? this.#readXattrs(place, place.path) : []
    // Seen alike before and after: the target and the attributes belong together.
    const change = describeChange(seen, look(place))
    if (change !== undefined) throw changedError(place, change)
    const header = this.addHeader(place, { stat: seen, xattrs })
    return { stat: seen, bytes: 0, content: { kind: 'symlink', header, target } }
  }

  #readSpecial(
    place: SourcePlace,
    kind: Exclude<EntryKind, 'regular' | 'directory' | 'symlink'>,
  ): ReadEntry {
    const moment = this.see(place, () => look(place), place.path)
    if (findKindOfStat(Number(moment.stat.mode)) !== kind) {
      throw changedError(place, `is no ${kind} any more`)
    }
    return {
      stat: moment.stat,
      bytes: 0,
      content: { kind, header: this.addHeader(place, moment) },
    }
  }

  #readXattrs(place: SourcePlace, target: XattrTarget): readonly Xattr[] {
    return this.hasXattrs ? readXattrs(place, target) : []
  }
}
