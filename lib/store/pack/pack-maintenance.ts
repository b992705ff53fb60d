import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type CairnError, CorruptObjectError } from '../../errors.js'
import { algorithmOf } from '../../object/digest.js'
import { digestObject } from '../../object/digester.js'
import { isErrno } from '../../system/errno.js'
import { writeFailure } from '../storage-full.js'
import { writeData } from './large-payload.js'
import type { PackCalls } from './pack-calls.js'
import type { PackFile } from './pack-file.js'
import { packSuffix } from './pack-folder.js'
import type { PackPlace, PlacedObject, PlaceReader } from './pack-format.js'
import { openPayload } from './pack-payload.js'
import { PackWriter } from './pack-writer.js'
import type { Zstd } from './zstd.js'
import { readFrames } from './zstd-frames.js'

const pieceBytes = 1024 * 1024
// Others get their turn after so many bytes.
const turnBytes = 16 * 1024 * 1024

/** A pack of which some objects are to be kept. */
export type PackSource = {
  readonly pack: PackFile
  /** Whether to keep the object at an ordinal of the trailer. */
  readonly isLive: (ordinal: number) => boolean
}

/** A source that cannot be copied, and why. */
type UnreadableSource = {
  readonly source: PackSource
  readonly error: CairnError | NodeJS.ErrnoException
}

/** What a rewrite is made with. */
export type RewriteParts = {
  readonly calls: PackCalls
  readonly zstd: () => Promise<Zstd>
  /** An existing folder on the filesystem of the packs. */
  readonly temp: string
  /** The folder of the packs. */
  readonly packs: string
  readonly signal?: AbortSignal | undefined
}

/** What came of a rewrite. */
export type Rewritten = {
  /** Sources whose live objects are all in the new packs: they can go. */
  readonly done: readonly PackSource[]
  readonly unreadable: readonly UnreadableSource[]
  /** File names of the new packs. */
  readonly created: readonly string[]
  /** Bytes of the new packs. */
  readonly bytes: number
}

/**
 * Copies the live objects of packs into new ones, in the form in which they are stored and
 * in their order, and puts the new packs among the others, durably.
 *
 * Each object is verified. A source with an object that cannot be read stays as it is.
 * Nothing is removed. Throws StorageFullError, and what else writing throws; then nothing
 * was put in place.
 */
export async function rewritePacks(
  sources: readonly PackSource[],
  parts: RewriteParts,
): Promise<Rewritten> {
  let left = sources
  const unreadable: UnreadableSource[] = []
  for (;;) {
    const output = new RewriteOutput(parts)
    try {
      const bad = await copyAll(left, output, parts)
      if (bad === undefined) {
        const { created, bytes } = await output.publish()
        return { done: left, unreadable, created, bytes }
      }
      unreadable.push(bad)
      left = left.filter(source => source !== bad.source)
    } finally {
      output.discard()
    }
  }
}

/** What came of copying objects. */
export type CopiedObjects = {
  /** Those that could not be read, and why; all others are in the new packs. */
  readonly bad: readonly { readonly place: PackPlace; readonly error: Error }[]
  /** File names of the new packs. */
  readonly created: readonly string[]
}

/**
 * Copies objects into new packs as rewritePacks does, leaving out those that cannot be
 * read or do not have their digests.
 */
export async function copyObjects(
  objects: Iterable<PlacedObject>,
  parts: RewriteParts,
): Promise<CopiedObjects> {
  const output = new RewriteOutput(parts)
  const bad: { place: PackPlace; error: Error }[] = []
  try {
    for (const { pack, place } of objects) {
      parts.signal?.throwIfAborted()
      const writer = await output.writer()
      try {
        await new ObjectCopy(pack, place, parts).into(writer)
      } catch (error) {
        if (!isUnreadable(error)) throw error
        bad.push({ place, error })
      }
    }
    const { created } = await output.publish()
    return { bad, created }
  } finally {
    output.discard()
  }
}

/** Removes the files of packs, and makes that durable; those that are gone are no error. */
export async function removePacks(
  names: readonly string[],
  { calls, packs }: Pick<RewriteParts, 'calls' | 'packs'>,
): Promise<void> {
  for (const name of names) {
    try {
      calls.unlink(join(packs, name))
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
  }
  await syncFolder(packs, calls)
}

async function copyAll(
  sources: readonly PackSource[],
  output: RewriteOutput,
  parts: RewriteParts,
): Promise<UnreadableSource | undefined> {
  for (const source of sources) {
    const { pack } = source
    using use = pack.use()
    try {
      let copied = 0
      for (const place of livePlaces(source)) {
        parts.signal?.throwIfAborted()
        const writer = await output.writer()
        await new ObjectCopy(pack, place, parts).into(writer)
        copied += place.storedSize
        if (copied < turnBytes) continue
        copied = 0
        await new Promise(resolve => setImmediate(resolve))
      }
    } catch (error) {
      if (!isUnreadable(error)) throw error
      return { source, error }
    }
    use[Symbol.dispose]()
  }
  return undefined
}

function isUnreadable(error: unknown): error is CairnError | NodeJS.ErrnoException {
  return error instanceof CorruptObjectError || isErrno(error, 'EIO')
}

/** In the order of the file, so that what was stored together stays together. */
function livePlaces({ pack, isLive }: PackSource): PackPlace[] {
  const places: PackPlace[] = []
  let ordinal = 0
  for (const place of pack.index.places()) {
    if (isLive(ordinal)) places.push(pack.checkPlace(place))
    ordinal += 1
  }
  return places.toSorted((one, other) => one.offset - other.offset)
}

// One object on its way into another pack.
class ObjectCopy {
  readonly #pack: PlaceReader
  readonly #place: PackPlace
  readonly #parts: RewriteParts

  constructor(pack: PlaceReader, place: PackPlace, parts: RewriteParts) {
    this.#pack = pack
    this.#place = place
    this.#parts = parts
  }

  async into(writer: PackWriter): Promise<void> {
    if (writer.has(this.#place.digest)) return
    if (Math.max(this.#place.storedSize, this.#place.size) > pieceBytes) {
      await this.#copyLarge(writer)
    } else await this.#copySmall(writer)
  }

  async #copySmall(writer: PackWriter): Promise<void> {
    const { digest, type, codec, size, storedSize } = this.#place
    const stored = this.#pack.readPlace(this.#place, 0, storedSize)
    const plain = codec === 'raw' ? stored : await this.#decode(stored)
    const found = digestObject(algorithmOf(digest), type, plain)
    if (found !== digest) throw this.#corrupt(`found ${found}`)
    this.#write(() => writer.add(digest, type, size, { codec, bytes: stored }))
  }

  async #copyLarge(writer: PackWriter): Promise<void> {
    const { digest, type, codec, size, storedSize } = this.#place
    await this.#verify()
    const coded = codec === 'raw' ? undefined : { codec, storedSize }
    this.#write(() => {
      const large = writer.startLarge(type, size, digest, coded)
      let crc = 0
      for (let offset = 0; offset < storedSize; offset += pieceBytes) {
        const length = Math.min(pieceBytes, storedSize - offset)
        const piece = this.#pack.readPlace(this.#place, offset, length)
        if (codec !== 'raw') crc = crc32(piece, crc)
        writeData(large, piece, offset)
      }
      large.finish(digest, crc)
    })
  }

  async #verify(): Promise<void> {
    const found = { pack: this.#pack, place: this.#place }
    await using stream = openPayload(found, this.#parts.zstd)
    // The stream verifies itself at its end.
    for await (const chunk of stream) {
      if (chunk.length > 0) this.#parts.signal?.throwIfAborted()
    }
  }

  async #decode(stored: Buffer): Promise<Uint8Array> {
    const { size } = this.#place
    const source = {
      size,
      storedSize: stored.length,
      read: (offset: number, length: number) => stored.subarray(offset, offset + length),
      corrupt: (problem: string) => this.#corrupt(problem),
    }
    const zstd = await this.#parts.zstd()
    return Buffer.concat([...readFrames(source, zstd, { from: 0, to: size })])
  }

  #write(write: () => void): void {
    try {
      write()
    } catch (error) {
      throw writeFailure(error, `object ${this.#place.digest}`)
    }
  }

  #corrupt(problem: string): CorruptObjectError {
    const { digest } = this.#place
    const { path } = this.#pack
    return new CorruptObjectError(`object ${digest} is corrupt: ${problem}`, {
      digest,
      path,
    })
  }
}

// The new packs, until they are among the others.
class RewriteOutput {
  readonly #parts: RewriteParts
  readonly #sealed: { path: string; name: string; bytes: number }[] = []
  #current: { writer: PackWriter; name: string } | undefined
  #isPublished = false

  constructor(parts: RewriteParts) {
    this.#parts = parts
  }

  async writer(): Promise<PackWriter> {
    if (this.#current?.writer.isFull === true) await this.#seal()
    this.#current ??= this.#begin()
    return this.#current.writer
  }

  async publish(): Promise<{ created: string[]; bytes: number }> {
    const { calls, packs } = this.#parts
    await this.#seal()
    for (const { path, name } of this.#sealed) calls.rename(path, join(packs, name))
    this.#isPublished = true
    if (this.#sealed.length > 0) await syncFolder(packs, calls)
    return {
      created: this.#sealed.map(({ name }) => name),
      bytes: this.#sealed.reduce((sum, { bytes }) => sum + bytes, 0),
    }
  }

  /** Removes what was not put in place. */
  discard(): void {
    this.#current?.writer.abandon()
    if (this.#isPublished) return
    const paths = this.#sealed.map(({ path }) => path)
    if (this.#current !== undefined) paths.push(this.#current.writer.path)
    for (const path of paths) {
      try {
        this.#parts.calls.unlink(path)
      } catch {
        // It lies in a session's folder, which goes with the session; the first failure
        // is the one to report.
      }
    }
  }

  #begin(): { writer: PackWriter; name: string } {
    const name = `${randomBytes(16).toString('hex')}${packSuffix}`
    try {
      return {
        name,
        writer: new PackWriter(join(this.#parts.temp, name), this.#parts.calls),
      }
    } catch (error) {
      throw writeFailure(error, name)
    }
  }

  async #seal(): Promise<void> {
    if (this.#current === undefined) return
    const { writer, name } = this.#current
    try {
      await writer.seal()
    } catch (error) {
      throw writeFailure(error, name)
    }
    this.#sealed.push({ path: writer.path, name, bytes: writer.bytes })
    this.#current = undefined
  }
}

async function syncFolder(path: string, calls: PackCalls): Promise<void> {
  const fd = calls.open(path)
  try {
    await calls.sync(fd)
  } finally {
    calls.close(fd)
  }
}
