import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { IncompleteClosureError } from '../../errors.js'
import type { Algorithm } from '../../object/algorithm.js'
import type { ObjectLink } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { digestObject } from '../../object/digester.js'
import type { ObjectType } from '../../object/object-type.js'
import { Bitmap } from '../bitmap.js'
import { checkNewObject } from '../new-object-check.js'
import type {
  NewObject,
  NewStream,
  ObjectInfo,
  ObjectWriter,
  Publishing,
  StoreSession,
  StoreSessionOptions,
} from '../object-store.js'
import {
  type AsidePayload,
  type PayloadKeeper,
  PayloadWriter,
} from '../payload-writer.js'
import { writeFailure } from '../storage-full.js'
import type { PackCalls } from './pack-calls.js'
import { type PackFolder, packSuffix } from './pack-folder.js'
import { PackWriter } from './pack-writer.js'
import { SpooledPayload } from './spooled-payload.js'

// Above this, a gradual session publishes the packs it has.
const publishBytes = 1024 * 1024 * 1024

/** A session of a pack store: packs grow in its folder, then are renamed among the others. */
export class PackSession implements StoreSession, PayloadKeeper {
  readonly bufferBytes = 256 * 1024
  readonly #folder: PackFolder
  readonly #calls: PackCalls
  readonly #algorithm: Algorithm
  readonly #publishing: Publishing
  readonly #own: string
  readonly #spooled = new Set<SpooledPayload>()
  #writer: PackWriter | undefined
  #turn: Promise<void> = Promise.resolve()
  #isClosed = false
  #failure: unknown

  constructor(folder: PackFolder, calls: PackCalls, options: StoreSessionOptions) {
    this.#folder = folder
    this.#calls = calls
    this.#algorithm = options.algorithm
    this.#publishing = options.publishing
    this.#own = join(options.folder, `packs-${randomBytes(6).toString('hex')}`)
    calls.makeFolder(this.#own)
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    this.checkOpen()
    const found = new Bitmap(digests.length)
    for (const [index, digest] of digests.entries())
      if (this.#has(digest)) found.set(index)
    return found
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    this.checkOpen()
    return digests.map(digest => {
      const place = this.#findOwn(digest) ?? this.#folder.findFresh(digest)?.place
      return place && { type: place.type, size: place.size }
    })
  }

  async put(batch: readonly NewObject[]): Promise<readonly ObjectLink[]> {
    this.checkOpen()
    const links: ObjectLink[] = []
    for (const { type, payload, algorithm = this.#algorithm } of batch) {
      const digest = digestObject(algorithm, type, payload)
      checkNewObject(type, digest, payload)
      this.#add(type, digest, payload)
      links.push({ digest, size: payload.length })
    }
    await this.#publishFullPack()
    return links
  }

  async stream({ type, algorithm }: NewStream): Promise<ObjectWriter> {
    this.checkOpen()
    return new PayloadWriter(this, type, algorithm ?? this.#algorithm)
  }

  async publish(roots: readonly Digest[]): Promise<void> {
    await this.#inTurn(async () => {
      this.checkOpen()
      for (const digest of roots) {
        if (this.#has(digest)) continue
        throw new IncompleteClosureError(
          `cannot publish ${digest}: it is neither stored nor committed`,
          { digest },
        )
      }
      await this.#publishPack()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#inTurn(async () => {
      for (const spooled of this.#spooled) spooled.discard()
      this.#writer?.abandon()
      this.#writer = undefined
      await rm(this.#own, { recursive: true, force: true })
    })
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
    this.#add(type, link.digest, payload)
    await this.#publishFullPack()
  }

  putAside(type: ObjectType): AsidePayload {
    this.checkOpen()
    const spooled = new SpooledPayload(this.#calls, this.#newPath('.aside'), {
      commit: async (link, chunks) => this.#copyIn(type, link, chunks),
      forget: payload => this.#spooled.delete(payload),
    })
    this.#spooled.add(spooled)
    return spooled
  }

  #add(type: ObjectType, digest: Digest, payload: Uint8Array): void {
    if (this.#hasKnown(digest)) return
    this.#orAbandon(`${type} ${digest}`, () => {
      this.#openWriter().add(digest, type, payload.length, {
        codec: 'raw',
        bytes: payload,
      })
    })
  }

  async #copyIn(
    type: ObjectType,
    link: ObjectLink,
    chunks: Iterable<Buffer>,
  ): Promise<void> {
    this.checkOpen()
    const { digest, size } = link
    if (this.#hasKnown(digest)) return
    this.#orAbandon(`${type} ${digest}`, () => {
      const large = this.#openWriter().startLarge(type, size, digest)
      let offset = 0
      for (const chunk of chunks) {
        large.write(chunk, offset)
        offset += chunk.length
      }
      large.finish(digest)
    })
    await this.#publishFullPack()
  }

  #openWriter(): PackWriter {
    this.#writer ??= new PackWriter(this.#newPath(packSuffix), this.#calls)
    return this.#writer
  }

  #newPath(suffix: string): string {
    return join(this.#own, `${randomBytes(16).toString('hex')}${suffix}`)
  }

  #has(digest: Digest): boolean {
    return (
      this.#writer?.has(digest) === true || this.#folder.findFresh(digest) !== undefined
    )
  }

  // What another process publishes meanwhile is stored twice rather than looked for each time.
  #hasKnown(digest: Digest): boolean {
    return this.#writer?.has(digest) === true || this.#folder.find(digest) !== undefined
  }

  #findOwn(digest: Digest): ObjectInfo | undefined {
    return this.#writer?.has(digest) === true ? this.#writer.find(digest) : undefined
  }

  async #publishFullPack(): Promise<void> {
    if (this.#publishing === 'whole' || (this.#writer?.bytes ?? 0) < publishBytes) return
    await this.#inTurn(async () => {
      this.checkOpen()
      if ((this.#writer?.bytes ?? 0) >= publishBytes) await this.#publishPack()
    })
  }

  async #publishPack(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    if (writer === undefined) return
    try {
      await writer.seal()
      const name = writer.path.slice(this.#own.length + 1)
      this.#calls.rename(writer.path, join(this.#folder.path, name))
      await this.#syncFolder()
    } catch (error) {
      this.#failure = error
      throw writeFailure(error, writer.path)
    }
    this.#folder.refresh()
  }

  async #syncFolder(): Promise<void> {
    const fd = this.#calls.open(this.#folder.path)
    try {
      await this.#calls.sync(fd)
    } finally {
      this.#calls.close(fd)
    }
  }

  // A pack that a write failed in is never written on: what lies behind is unknown.
  #orAbandon(what: string, write: () => void): void {
    try {
      write()
    } catch (error) {
      this.#failure = error
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
