import { type BigIntStats, readlinkSync } from 'node:fs'
import { type EntryKind, findKindOfStat } from '../../object/file-mode.js'
import type { Xattr } from '../../object/header.js'
import type { ModificationTime } from '../../object/modification-times.js'
import type { StoreSession } from '../../store/object-store.js'
import { hasNativeCalls } from '../../system/libc.js'
import type { XattrTarget } from '../../system/xattr.js'
import type { HardLinkTable } from './hard-link-table.js'
import { HeaderCache } from './header-cache.js'
import { maxWholeBytes, type ObjectBatch } from './object-batch.js'
import type { PendingContent, Slot } from './pending-directory.js'
import { PlainFileReader } from './plain-file.js'
import { makeHeader, readXattrs } from './source-header.js'
import type { NamedPlace, SourcePlace } from './source-place.js'
import { callAt, changedError, notRepresentable } from './source-problem.js'
import { describeChange, look, StableFile } from './stable-file.js'
import { type StreamOptions, streamFile } from './stream-file.js'

/** An entry's own state at one moment. */
export type Moment = { readonly stat: BigIntStats; readonly xattrs: readonly Xattr[] }

/** An entry that is stored, or waits in the batch. */
export type ReadEntry = {
  readonly stat: BigIntStats
  readonly content: PendingContent
  /** Content bytes that had to be read for it. */
  readonly bytes: number
}

/** A plain file that waits in the batch. */
export type ReadPlainFile = {
  readonly content: PendingContent
  readonly bytes: number
  readonly modified: ModificationTime
}

/** What an EntryReader reads with. */
export type EntryReaderParts = {
  readonly session: StoreSession
  readonly batch: ObjectBatch
  readonly hardLinks: HardLinkTable
  readonly symlinkXattrs: boolean
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
  readonly #plain = PlainFileReader.find()

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
   * Reads a small file of an open folder if it is one that needs no care; undefined
   * otherwise, and then nothing is known of it.
   */
  readPlain(folder: number, name: Buffer): ReadPlainFile | undefined {
    const plain = this.#plain
    const { batch } = this.#parts
    const payload = plain?.read(folder, name, length =>
      length > maxWholeBytes ? undefined : batch.room(length),
    )
    if (plain === undefined || payload === undefined) return undefined
    const { mode, uid, gid, modifiedSeconds, modifiedNanoseconds } = plain.state
    const header = this.#headers.addPlain(mode, uid, gid)
    return {
      content: { kind: 'regular', header, file: batch.addFile(payload) },
      bytes: payload.length,
      modified: { seconds: modifiedSeconds, nanoseconds: modifiedNanoseconds },
    }
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
    if (kind === 'symlink') return this.#readSymlink(place)
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
    const link = await streamFile(file, this.#parts.session, options)
    const header = this.addHeader(place, { stat, xattrs })
    return {
      stat,
      bytes: link.size,
      content: { kind: 'regular', header, file: { link } },
    }
  }

  #readSmall(place: SourcePlace, seen: BigIntStats): ReadEntry {
    const { batch } = this.#parts
    using file = new StableFile(place, seen)
    const { stat, size } = file
    const xattrs = this.#readXattrs(place, file.fd)
    const room = batch.room(size + 1)
    file.read(room)
    file.checkUnchanged()
    const header = this.addHeader(place, { stat, xattrs })
    const slot = batch.addFile(room.subarray(0, size))
    return { stat, bytes: size, content: { kind: 'regular', header, file: slot } }
  }

  #readSymlink(place: SourcePlace): ReadEntry {
    let target = Buffer.alloc(0)
    const lookAtIt = () => {
      target = callAt(place, () => readlinkSync(place.path, { encoding: 'buffer' }))
      return look(place)
    }
    const xattrTarget = this.#parts.symlinkXattrs ? place.path : undefined
    const moment = this.see(place, lookAtIt, xattrTarget)
    const header = this.addHeader(place, moment)
    return { stat: moment.stat, bytes: 0, content: { kind: 'symlink', header, target } }
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
