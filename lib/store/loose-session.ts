import { IncompleteClosureError } from '../errors.js'
import type { Algorithm } from '../object/algorithm.js'
import type { ObjectLink } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { digestObject } from '../object/digester.js'
import type { ObjectType } from '../object/object-type.js'
import type { FileCalls } from '../system/file-calls.js'
import { AsideFile, type AsideOwner } from './aside-file.js'
import { Bitmap } from './bitmap.js'
import { findObjectFile, isObjectFile } from './loose-file.js'
import type { LooseLayout } from './loose-layout.js'
import { LoosePublisher } from './loose-publisher.js'
import { checkNewObject } from './new-object-check.js'
import type {
  NewObject,
  NewStream,
  ObjectInfo,
  ObjectWriter,
  Publishing,
  PublishingGuard,
  StoreSession,
  StoreSessionOptions,
} from './object-store.js'
import { type AsidePayload, type PayloadKeeper, PayloadWriter } from './payload-writer.js'
import { StagedObjects } from './staged-objects.js'
import { writeFailure } from './storage-full.js'

/** How the sessions of a loose store write. */
export type LooseWriting = {
  readonly calls: FileCalls
  /** Committed objects that a gradual session publishes at once. */
  readonly batchObjects: number
}

/** A session of a loose store: objects are staged in its folder, then moved into place. */
export class LooseSession implements StoreSession, PayloadKeeper, AsideOwner {
  readonly bufferBytes = 256 * 1024
  readonly #layout: LooseLayout
  readonly #calls: FileCalls
  readonly #batchObjects: number
  readonly algorithm: Algorithm
  readonly #publishing: Publishing
  readonly #accepts: 'new' | 'stored'
  readonly #staged: StagedObjects
  readonly #publisher: LoosePublisher
  readonly #asides = new Set<AsideFile>()
  readonly #fd: number
  readonly #guard: PublishingGuard
  #turn: Promise<void> = Promise.resolve()
  #isClosed = false
  #failure: unknown

  constructor(layout: LooseLayout, writing: LooseWriting, options: StoreSessionOptions) {
    const { calls, batchObjects } = writing
    this.#layout = layout
    this.#calls = calls
    this.#batchObjects = batchObjects
    this.algorithm = options.algorithm
    this.#publishing = options.publishing
    this.#accepts = options.accepts ?? 'new'
    this.#staged = new StagedObjects(calls, options.folder, 2 * batchObjects)
    this.#fd = calls.open(layout.objects)
    this.#publisher = new LoosePublisher(layout, calls, this.#fd)
    this.#guard = options.guard ?? (publish => publish())
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    this.checkOpen()
    const found = new Bitmap(digests.length)
    for (const [index, digest] of digests.entries()) {
      if (this.#has(digest)) found.set(index)
    }
    return found
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    this.checkOpen()
    return digests.map(digest => this.#find(digest))
  }

  find(digest: Digest): ObjectInfo | undefined {
    this.checkOpen()
    return this.#find(digest)
  }

  async put(batch: readonly NewObject[]): Promise<readonly ObjectLink[]> {
    this.checkOpen()
    const links: ObjectLink[] = []
    for (const { type, payload, algorithm = this.algorithm, digest } of batch) {
      const link = {
        digest: digest ?? digestObject(algorithm, type, payload),
        size: payload.length,
      }
      if (this.#accepts === 'new') checkNewObject(type, link.digest, payload)
      this.#stage(type, link, payload)
      links.push(link)
    }
    await this.#publishFullBatch()
    return links
  }

  async stream({ type, algorithm }: NewStream): Promise<ObjectWriter> {
    this.checkOpen()
    return new PayloadWriter(this, type, algorithm ?? this.algorithm)
  }

  async publish(roots: readonly Digest[]): Promise<void> {
    await this.#inTurn(async () => {
      this.checkOpen()
      for (const digest of roots) {
        if (!this.#has(digest)) {
          throw new IncompleteClosureError(
            `cannot publish ${digest}: it is neither stored nor committed`,
            { digest },
          )
        }
      }
      await this.#guarded(async () => {
        await this.#publisher.publish(this.#staged)
        await this.#publisher.syncNames()
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#inTurn(async () => {
      try {
        for (const aside of this.#asides) aside.leave()
        this.#calls.close(this.#fd)
      } finally {
        await this.#staged.remove()
      }
    })
  }

  checkOpen(): void {
    if (this.#isClosed) throw new Error('the session is closed')
    if (this.#failure !== undefined) {
      throw new Error('the session was abandoned when publishing failed', {
        cause: this.#failure,
      })
    }
  }

  async commitWhole(type: ObjectType, link: ObjectLink, payload: Buffer): Promise<void> {
    this.checkOpen()
    this.#stage(type, link, payload)
    await this.#publishFullBatch()
  }

  putAside(type: ObjectType): AsidePayload {
    this.checkOpen()
    try {
      const aside = new AsideFile(this.#calls, this.#staged.newPath(), type, this)
      this.#asides.add(aside)
      return aside
    } catch (error) {
      throw writeFailure(error, `a ${type} that is put aside`)
    }
  }

  async commitFile(path: string, type: ObjectType, link: ObjectLink): Promise<void> {
    this.checkOpen()
    try {
      if (this.#isThere(type, link)) this.#calls.unlink(path)
      else this.#staged.adopt(path, type, link)
    } catch (error) {
      throw writeFailure(error, `${type} ${link.digest}`)
    }
    await this.#publishFullBatch()
  }

  forgetAside(aside: AsideFile): void {
    this.#asides.delete(aside)
  }

  #stage(type: ObjectType, link: ObjectLink, payload: Uint8Array): void {
    if (this.#isThere(type, link)) return
    try {
      this.#staged.write(type, link.digest, payload)
    } catch (error) {
      throw writeFailure(error, `${type} ${link.digest}`)
    }
  }

  /** An object file of another size or type is damaged, and will be replaced. */
  #isThere(type: ObjectType, { digest, size }: ObjectLink): boolean {
    const found = this.#find(digest)
    return found?.type === type && found.size === size
  }

  #has(digest: Digest): boolean {
    if (this.#staged.has(digest)) return true
    const isPublished = isObjectFile(this.#layout.path(digest))
    if (isPublished) this.#publisher.relyOn(digest)
    return isPublished
  }

  #find(digest: Digest): ObjectInfo | undefined {
    // In this order: an object moves from the one to the other.
    const staged = this.#staged.find(digest)
    if (staged !== undefined) return staged
    const published = findObjectFile(this.#layout.path(digest))
    if (published !== undefined) this.#publisher.relyOn(digest)
    return published
  }

  async #publishFullBatch(): Promise<void> {
    if (this.#publishing === 'whole' || this.#staged.length < this.#batchObjects) return
    await this.#inTurn(async () => {
      if (this.#staged.length < this.#batchObjects) return
      this.checkOpen()
      await this.#guarded(() => this.#publisher.publish(this.#staged))
    })
  }

  /** Data may be lost without a further sign when a sync fails, so nothing is retried. */
  async #guarded(publish: () => Promise<void>): Promise<void> {
    await this.#guard(async () => {
      try {
        await publish()
      } catch (error) {
        this.#failure = error
        throw error
      }
    })
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
