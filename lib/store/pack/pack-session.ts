import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import {
  CorruptObjectError,
  IncompleteClosureError,
  LimitExceededError,
} from '../../errors.js'
import type { Algorithm } from '../../object/algorithm.js'
import type { ObjectLink } from '../../object/descriptor.js'
import { algorithmOf, type Digest } from '../../object/digest.js'
import { createObjectDigester, digestObject } from '../../object/digester.js'
import type { ObjectType } from '../../object/object-type.js'
import { maxMetadataBytes } from '../../object/received-object.js'
import { Bitmap } from '../bitmap.js'
import { checkNewObject } from '../new-object-check.js'
import type {
  NewObject,
  NewStream,
  ObjectInfo,
  ObjectWriter,
  Publishing,
  PublishingGuard,
  StoreSession,
  StoreSessionOptions,
} from '../object-store.js'
import {
  type AsidePayload,
  type PayloadKeeper,
  PayloadWriter,
} from '../payload-writer.js'
import { writeFailure } from '../storage-full.js'
import type { Purpose } from './condemned-list.js'
import type { DirectPayload } from './large-payload.js'
import { writeData } from './large-payload.js'
import { noteMoved } from './left-packs.js'
import { endAll, OwnPacks } from './own-packs.js'
import type { PackCalls } from './pack-calls.js'
import type { PackFolder } from './pack-folder.js'
import { type PackRecord, segmentBytes } from './pack-format.js'
import { codedSource } from './pack-stream-reader.js'
import type { PayloadCoder } from './payload-coder.js'
import { type SpooledForm, SpooledPayload } from './spooled-payload.js'
import type { Zstd } from './zstd.js'
import { readFrames } from './zstd-frames.js'

// Stored bytes of an object that is handed over whole.
const maxStoredBytes = segmentBytes

/** What a session of a pack store is made from. */
export type PackSessionParts = {
  readonly folder: PackFolder
  readonly calls: PackCalls
  /** Compresses new payloads; without it they stay raw. */
  readonly coder?: PayloadCoder | undefined
  readonly zstd: () => Promise<Zstd>
}

/** An object as another store keeps it. */
export type StoredObject = Omit<PackRecord, 'crc' | 'storedSize'> & {
  /** The stored bytes, coded as `codec` says. */
  readonly stored: Uint8Array
}

/** A session of a pack store: packs grow in its folder, then are renamed among the others. */
export class PackSession implements StoreSession, PayloadKeeper {
  readonly bufferBytes = 256 * 1024
  readonly #parts: PackSessionParts
  readonly algorithm: Algorithm
  readonly #publishing: Publishing
  readonly #accepts: 'new' | 'stored'
  readonly #guard: PublishingGuard
  readonly #packs: OwnPacks
  readonly #keep: boolean
  readonly #spooled = new Set<SpooledPayload>()
  /** The state of the store's folder whose names are known to be durable. */
  #durable = -1
  #turn: Promise<void> = Promise.resolve()
  #isClosed = false
  #failure: unknown

  constructor(parts: PackSessionParts, options: StoreSessionOptions) {
    this.#parts = parts
    this.algorithm = options.algorithm
    this.#publishing = options.publishing
    this.#accepts = options.accepts ?? 'new'
    this.#guard = options.guard ?? (publish => publish())
    this.#keep = options.keep ?? false
    const own = join(options.folder, `packs-${randomBytes(6).toString('hex')}`)
    this.#orAbandon(own, () => parts.calls.makeFolder(own))
    this.#packs = new OwnPacks(own, parts.calls)
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    const infos = await this.stat(digests)
    const found = new Bitmap(digests.length)
    for (const [index, info] of infos.entries()) if (info) found.set(index)
    return found
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    return this.#stat(digests, 'store')
  }

  find(digest: Digest): ObjectInfo | undefined {
    this.checkOpen()
    return this.#packs.describe(digest) ?? this.#parts.folder.find(digest, 'store')?.place
  }

  async put(batch: readonly NewObject[]): Promise<readonly ObjectLink[]> {
    this.checkOpen()
    const links: ObjectLink[] = []
    for (const { type, payload, algorithm = this.algorithm, digest: known } of batch) {
      const digest = known ?? digestObject(algorithm, type, payload)
      if (!this.#isKnown(digest)) {
        if (this.#accepts === 'new') checkNewObject(type, digest, payload)
        this.#add(type, digest, payload)
      }
      links.push({ digest, size: payload.length })
    }
    await this.#makeWay()
    return links
  }

  /**
   * Commits whole objects in order in the form in which they are stored elsewhere; each is
   * verified. Throws CorruptObjectError.
   */
  async putStored(batch: readonly StoredObject[]): Promise<readonly ObjectLink[]> {
    this.checkOpen()
    const zstd = await this.#parts.zstd()
    this.checkOpen()
    const links: ObjectLink[] = []
    for (const object of batch) {
      const { type, digest, size, codec, stored } = object
      verifyStored(object, zstd)
      if (!this.#isKnown(digest)) {
        this.#orAbandon(`${type} ${digest}`, () => {
          this.#packs.main.add(digest, type, size, { codec, bytes: stored })
        })
      }
      links.push({ digest, size })
    }
    await this.#makeWay()
    return links
  }

  async stream({ type, algorithm, size }: NewStream): Promise<ObjectWriter> {
    this.checkOpen()
    return new PayloadWriter(this, type, algorithm ?? this.algorithm, size)
  }

  async publish(roots: readonly Digest[]): Promise<void> {
    await this.#inTurn(async () => {
      // What was relied on before it was condemned is spared: it may be a root.
      const found = this.#stat(roots, 'read')
      for (const [index, digest] of roots.entries()) {
        if (found[index] !== undefined) continue
        throw new IncompleteClosureError(
          `cannot publish ${digest}: it is neither stored nor committed`,
          { digest },
        )
      }
      await this.#publishPacks()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#inTurn(async () => {
      const spooled = [...this.#spooled]
      this.#spooled.clear()
      try {
        endAll([...spooled.map(payload => () => payload.abandon()), () => this.#end()])
      } finally {
        if (!this.#keep) await rm(this.#packs.folder, { recursive: true, force: true })
      }
    })
  }

  // What is kept is for somebody who checks it; a pack that failed is not worth it.
  #end(): void {
    if (this.#keep && this.#failure === undefined) this.#packs.leave()
    else this.#packs.abandon()
  }

  checkOpen(): void {
    if (this.#isClosed) throw new Error('the session is closed')
    if (this.#failure !== undefined) {
      throw new Error('the session was abandoned when writing a pack failed', {
        cause: this.#failure,
      })
    }
  }

  async commitWhole(type: ObjectType, link: ObjectLink, payload: Buffer): Promise<void> {
    this.checkOpen()
    if (!this.#isKnown(link.digest)) this.#add(type, link.digest, payload)
    await this.#makeWay()
  }

  putAside(type: ObjectType, algorithm: Algorithm, size?: number): AsidePayload {
    this.checkOpen()
    const { calls, coder } = this.#parts
    if (size !== undefined && size > this.bufferBytes && coder === undefined) {
      return this.#direct({ type, algorithm, size })
    }
    const path = this.#packs.newPath('.aside')
    const owner = {
      commit: async (link: ObjectLink, form: SpooledForm) =>
        this.#copyIn(type, link, form),
      forget: (payload: SpooledPayload) => void this.#spooled.delete(payload),
    }
    const spooled = new SpooledPayload(calls, path, owner, coder)
    this.#spooled.add(spooled)
    return spooled
  }

  #direct(object: {
    type: ObjectType
    algorithm: Algorithm
    size: number
  }): AsidePayload {
    let payload: DirectPayload | undefined
    this.#orAbandon(object.type, () => {
      payload = this.#packs.startDirect(object, {
        write: work => this.#orAbandon(object.type, work),
        commit: async (direct, link) => this.#commitDirect(direct, link),
        release: direct => this.#packs.release(direct),
      })
    })
    if (payload === undefined) throw new Error('a large payload did not start')
    return payload
  }

  async #commitDirect(payload: DirectPayload, link: ObjectLink): Promise<void> {
    this.checkOpen()
    if (this.#isKnown(link.digest)) payload.discard()
    else payload.finish(link.digest)
  }

  #add(type: ObjectType, digest: Digest, payload: Uint8Array): void {
    const coded = this.#parts.coder?.code(payload) ?? rawPayload(payload)
    this.#orAbandon(`${type} ${digest}`, () => {
      this.#packs.main.add(digest, type, payload.length, coded)
    })
  }

  async #copyIn(type: ObjectType, link: ObjectLink, form: SpooledForm): Promise<void> {
    this.checkOpen()
    const { digest, size } = link
    if (this.#isKnown(digest)) return
    this.#orAbandon(`${type} ${digest}`, () => {
      const large = this.#packs.main.startLarge(type, size, digest, {
        codec: form.codec,
        storedSize: form.storedSize,
      })
      let offset = 0
      let crc = 0
      for (const chunk of form.chunks) {
        if (form.codec !== 'raw') crc = crc32(chunk, crc)
        writeData(large, chunk, offset)
        offset += chunk.length
      }
      large.finish(digest, crc)
    })
    await this.#makeWay()
  }

  // What another process publishes meanwhile is stored twice rather than looked for each time.
  #isKnown(digest: Digest): boolean {
    return (
      this.#packs.describe(digest) !== undefined ||
      this.#parts.folder.find(digest, 'store') !== undefined
    )
  }

  #stat(
    digests: readonly Digest[],
    purpose: Purpose,
  ): readonly (ObjectInfo | undefined)[] {
    this.checkOpen()
    const own = digests.map(digest => this.#packs.describe(digest))
    const others = digests.filter((_, index) => own[index] === undefined)
    const found = this.#parts.folder.findAll(others, purpose).values()
    return own.map(record => {
      const info = record ?? found.next().value?.place
      return info && { type: info.type, size: info.size }
    })
  }

  /** Seals a pack that is full, and publishes it where it may be seen. */
  async #makeWay(): Promise<void> {
    if (!this.#packs.isFull) return
    await this.#inTurn(async () => {
      this.checkOpen()
      if (!this.#packs.isFull) return
      if (this.#publishing === 'gradual') await this.#publishPacks()
      else await this.#sealPacks()
    })
  }

  async #publishPacks(): Promise<void> {
    await this.#sealPacks()
    const sealed = this.#packs.waiting
    const { folder } = this.#parts
    if (sealed.length === 0 && folder.changes === this.#durable) return
    await this.#guard(async () => {
      const changes = folder.changes
      await this.#orAbandonAsync(folder.path, async () => {
        for (const { path, name } of sealed) {
          this.#parts.calls.rename(path, join(folder.path, name))
        }
        // One sync for all names, also those of packs that others renamed and this
        // session relies on. A filesystem that keeps a journal keeps the order of the
        // renames, so children never come after what refers to them.
        await this.#syncFolder()
      })
      folder.refresh()
      if (this.#keep)
        noteMoved(
          this.#packs.folder,
          sealed.map(({ name }) => name),
        )
      this.#durable =
        sealed.length > 0 || folder.changes === changes ? folder.changes : -1
      this.#packs.forget(sealed)
    })
  }

  async #sealPacks(): Promise<void> {
    await this.#orAbandonAsync(this.#packs.folder, async () => {
      this.#packs.close()
      await this.#packs.seal()
    })
  }

  async #syncFolder(): Promise<void> {
    const { calls, folder } = this.#parts
    const fd = calls.open(folder.path)
    try {
      await calls.sync(fd)
    } finally {
      calls.close(fd)
    }
  }

  // A pack that a write failed in is never written on: what lies behind is unknown.
  #orAbandon(what: string, write: () => unknown): void {
    try {
      write()
    } catch (error) {
      this.#failure ??= error
      throw writeFailure(error, what)
    }
  }

  async #orAbandonAsync(what: string, write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      this.#failure ??= error
      throw writeFailure(error, what)
    }
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(work)
    // Whoever waits for this turn gets its error; the next turn only waits for its end.
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    )
    await result
  }
}

function rawPayload(bytes: Uint8Array): { codec: 'raw'; bytes: Uint8Array } {
  return { codec: 'raw', bytes }
}

// Files are never whole in memory here: a few stored bytes may stand for very many.
function verifyStored(object: StoredObject, zstd: Zstd): void {
  const { type, digest, size, codec, stored } = object
  const isSized = codec === 'raw' ? stored.length === size : true
  if (!isSized || stored.length > maxStoredBytes) {
    throw corrupt(object, `found ${stored.length} stored bytes for ${size}`)
  }
  if (type !== 'file' && size > maxMetadataBytes) {
    throw new LimitExceededError(
      `a ${type} is too large: expected at most ${maxMetadataBytes} bytes, found ${size}`,
      { type, limit: maxMetadataBytes, found: size },
    )
  }
  const digester = createObjectDigester(algorithmOf(digest), type)
  const kept: Uint8Array[] = []
  for (const plain of plainOf(object, zstd)) {
    digester.update(plain)
    if (type !== 'file') kept.push(plain)
  }
  const found = digester.digest()
  if (found !== digest) throw corrupt(object, `found ${found}`)
  checkNewObject(type, digest, Buffer.concat(kept))
}

function plainOf(object: StoredObject, zstd: Zstd): Iterable<Uint8Array> {
  const { codec, stored, size } = object
  if (codec === 'raw') return [stored]
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)
  return readFrames(codedSource(object, bytes), zstd, { from: 0, to: size })
}

function corrupt({ digest }: StoredObject, problem: string): CorruptObjectError {
  return new CorruptObjectError(`object ${digest} is corrupt: ${problem}`, { digest })
}
