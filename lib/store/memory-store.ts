import {
  IncompleteClosureError,
  LimitExceededError,
  ObjectNotFoundError,
} from '../errors.js'
import type { Algorithm } from '../object/algorithm.js'
import type { ObjectLink } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { digestObject } from '../object/digester.js'
import type { ObjectType } from '../object/object-type.js'
import { maxMetadataBytes } from '../object/received-object.js'
import { Bitmap } from './bitmap.js'
import { cutRange, maxChunkBytes } from './byte-range.js'
import { checkNewObject } from './new-object-check.js'
import type {
  ByteRange,
  NewObject,
  NewStream,
  ObjectInfo,
  ObjectStore,
  ObjectStream,
  ObjectWriter,
  PublishingGuard,
  StoreSession,
  StoreSessionOptions,
  WholeObject,
} from './object-store.js'
import { type AsidePayload, type PayloadKeeper, PayloadWriter } from './payload-writer.js'

type KeptObject = { readonly type: ObjectType; readonly payload: Buffer }

const listBatch = 1024

/** A store that lives in memory and ends with its process; sessions need no folder. */
export class MemoryStore implements ObjectStore {
  readonly #objects = new Map<Digest, KeptObject>()

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    return presence(digests, digest => this.#objects.has(digest))
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    return digests.map(digest => infoOf(this.#objects.get(digest)))
  }

  async read(digests: readonly Digest[]): Promise<readonly WholeObject[]> {
    return digests.map(digest => {
      const { type, payload } = this.#get(digest)
      const size = payload.length
      if (size > maxMetadataBytes) {
        throw new LimitExceededError(
          `object ${digest} is too large to read whole: expected at most ${maxMetadataBytes} bytes, found ${size}`,
          { digest, limit: maxMetadataBytes, found: size },
        )
      }
      return { digest, type, size, payload: Buffer.from(payload) }
    })
  }

  async open(digest: Digest, range?: ByteRange): Promise<ObjectStream> {
    const { type, payload } = this.#get(digest)
    const size = payload.length
    const { offset, length } = cutRange(range ?? { offset: 0, length: size }, size)
    return new MemoryStream({ type, size }, payload.subarray(offset, offset + length))
  }

  async *list(prefix = ''): AsyncGenerator<readonly Digest[]> {
    const found = [...this.#objects.keys()].filter(digest => digest.startsWith(prefix))
    found.sort()
    for (let start = 0; start < found.length; start += listBatch) {
      yield found.slice(start, start + listBatch)
    }
  }

  /** Nothing stays open between calls. */
  [Symbol.dispose](): void {}

  async begin(options: StoreSessionOptions): Promise<StoreSession> {
    return new MemorySession(this.#objects, options)
  }

  #get(digest: Digest): KeptObject {
    const object = this.#objects.get(digest)
    if (object === undefined) {
      throw new ObjectNotFoundError(`no object ${digest}`, { digest })
    }
    return object
  }
}

class MemoryStream implements ObjectStream {
  readonly type: ObjectType
  readonly size: number
  #bytes: Buffer | undefined

  constructor({ type, size }: ObjectInfo, bytes: Buffer) {
    this.type = type
    this.size = size
    this.#bytes = bytes
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const bytes = this.#bytes
    if (bytes === undefined) throw new Error('the stream of an object is closed')
    this.#bytes = undefined
    for (let start = 0; start < bytes.length; start += maxChunkBytes) {
      yield Buffer.from(bytes.subarray(start, start + maxChunkBytes))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bytes = undefined
  }
}

class MemorySession implements StoreSession, PayloadKeeper {
  readonly bufferBytes = Number.POSITIVE_INFINITY
  readonly #published: Map<Digest, KeptObject>
  readonly #committed = new Map<Digest, KeptObject>()
  readonly algorithm: Algorithm
  readonly #accepts: 'new' | 'stored'
  readonly #guard: PublishingGuard
  #closed = false

  constructor(published: Map<Digest, KeptObject>, options: StoreSessionOptions) {
    this.#published = published
    this.algorithm = options.algorithm
    this.#accepts = options.accepts ?? 'new'
    this.#guard = options.guard ?? (publish => publish())
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    this.checkOpen()
    return presence(digests, digest => this.#find(digest) !== undefined)
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    this.checkOpen()
    return digests.map(digest => infoOf(this.#find(digest)))
  }

  find(digest: Digest): ObjectInfo | undefined {
    this.checkOpen()
    return infoOf(this.#find(digest))
  }

  async put(batch: readonly NewObject[]): Promise<readonly ObjectLink[]> {
    this.checkOpen()
    return batch.map(({ type, payload, algorithm = this.algorithm, digest: known }) => {
      const digest = known ?? digestObject(algorithm, type, payload)
      if (this.#accepts === 'new') checkNewObject(type, digest, payload)
      this.#keep(digest, { type, payload: Buffer.from(payload) })
      return { digest, size: payload.length }
    })
  }

  async stream({ type, algorithm }: NewStream): Promise<ObjectWriter> {
    this.checkOpen()
    return new PayloadWriter(this, type, algorithm ?? this.algorithm)
  }

  async publish(roots: readonly Digest[]): Promise<void> {
    this.checkOpen()
    for (const digest of roots) {
      if (this.#find(digest) === undefined) {
        throw new IncompleteClosureError(
          `cannot publish ${digest}: it is neither stored nor committed`,
          { digest },
        )
      }
    }
    await this.#guard(async () => {
      for (const [digest, object] of this.#committed) this.#published.set(digest, object)
      this.#committed.clear()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#committed.clear()
  }

  checkOpen(): void {
    if (this.#closed) throw new Error('the session is closed')
  }

  async commitWhole(type: ObjectType, link: ObjectLink, payload: Buffer): Promise<void> {
    this.#keep(link.digest, { type, payload })
  }

  putAside(type: ObjectType): AsidePayload {
    const chunks: Buffer[] = []
    return {
      write: bytes => void chunks.push(Buffer.from(bytes)),
      end: () => undefined,
      commit: async ({ digest }) => {
        this.checkOpen()
        this.#keep(digest, { type, payload: Buffer.concat(chunks) })
      },
      discard: () => void chunks.splice(0),
    }
  }

  #find(digest: Digest): KeptObject | undefined {
    return this.#committed.get(digest) ?? this.#published.get(digest)
  }

  #keep(digest: Digest, object: KeptObject): void {
    if (this.#find(digest) === undefined) this.#committed.set(digest, object)
  }
}

function presence(
  digests: readonly Digest[],
  isPresent: (digest: Digest) => boolean,
): Bitmap {
  const found = new Bitmap(digests.length)
  for (const [index, digest] of digests.entries()) if (isPresent(digest)) found.set(index)
  return found
}

function infoOf(object: KeptObject | undefined): ObjectInfo | undefined {
  return object && { type: object.type, size: object.payload.length }
}
