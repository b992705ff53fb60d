import { LimitExceededError, ObjectNotFoundError } from '../../errors.js'
import type { Algorithm } from '../../object/algorithm.js'
import type { ObjectLink } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import {
  createObjectDigester,
  type Digester,
  digestObject,
} from '../../object/digester.js'
import type { ObjectType } from '../../object/object-type.js'
import { Bitmap } from '../../store/bitmap.js'
import type {
  ByteRange,
  HeldObject,
  NewObject,
  NewStream,
  ObjectInfo,
  ObjectReader,
  ObjectStream,
  ObjectWriter,
  StoreSession,
  WholeObject,
} from '../../store/object-store.js'

/** How much a HashingSession may remember, unless told: directories of some million entries. */
const defaultMaxBytes = 512 * 1024 * 1024

/**
 * A session that stores nothing: it tells what the digests would be.
 *
 * Headers, directories and applications stay readable until it is disposed, so that a
 * folder can be compared with a stored tree; contents of files do not. Publishing does
 * nothing. It throws LimitExceededError when what it remembers exceeds `maxBytes`.
 */
export class HashingSession implements StoreSession, ObjectReader {
  readonly algorithm: Algorithm
  readonly #maxBytes: number
  readonly #kept = new Map<Digest, WholeObject>()
  #bytes = 0

  constructor(algorithm: Algorithm, { maxBytes = defaultMaxBytes } = {}) {
    this.algorithm = algorithm
    this.#maxBytes = maxBytes
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    const found = new Bitmap(digests.length)
    for (const [index, digest] of digests.entries()) {
      if (this.#kept.has(digest)) found.set(index)
    }
    return found
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    return digests.map(digest => this.#kept.get(digest))
  }

  find(digest: Digest): ObjectInfo | undefined {
    return this.#kept.get(digest)
  }

  async read(digests: readonly Digest[]): Promise<readonly WholeObject[]> {
    return digests.map(digest => this.#get(digest))
  }

  async open(digest: Digest, range?: ByteRange): Promise<ObjectStream> {
    return new KeptStream(this.#get(digest), range)
  }

  async put(batch: readonly NewObject[]): Promise<readonly ObjectLink[]> {
    return batch.map(({ type, payload, algorithm = this.algorithm, digest }) => {
      const link = {
        digest: digest ?? digestObject(algorithm, type, payload),
        size: payload.length,
      }
      this.#keep(type, link, payload)
      return link
    })
  }

  async stream({ type, algorithm = this.algorithm }: NewStream): Promise<ObjectWriter> {
    const digester = createObjectDigester(algorithm, type)
    return new HashingWriter(type, digester, (link, payload) =>
      this.#keep(type, link, payload),
    )
  }

  async publish(): Promise<void> {
    // There is nothing that anyone could see.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kept.clear()
  }

  #get(digest: Digest): WholeObject {
    const object = this.#kept.get(digest)
    if (object === undefined) {
      throw new ObjectNotFoundError(`no object ${digest}`, { digest })
    }
    return object
  }

  #keep(type: ObjectType, { digest, size }: ObjectLink, payload: Uint8Array): void {
    if (type === 'file' || this.#kept.has(digest)) return
    this.#bytes += size
    if (this.#bytes > this.#maxBytes) {
      throw new LimitExceededError(
        `a tree is too large to be compared: expected at most ${this.#maxBytes} bytes of ` +
          `directories and headers`,
        { limit: this.#maxBytes },
      )
    }
    this.#kept.set(digest, { digest, type, size, payload: Buffer.from(payload) })
  }
}

class HashingWriter implements ObjectWriter {
  readonly #type: ObjectType
  readonly #digester: Digester
  readonly #keep: (link: ObjectLink, payload: Uint8Array) => void
  readonly #chunks: Buffer[] = []
  #size = 0
  #digest: Digest | undefined
  #ended = false

  constructor(
    type: ObjectType,
    digester: Digester,
    keep: (link: ObjectLink, payload: Uint8Array) => void,
  ) {
    this.#type = type
    this.#digester = digester
    this.#keep = keep
  }

  get size(): number {
    return this.#size
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#ended || this.#digest !== undefined) {
      throw new Error('write after the end of an object')
    }
    if (this.#type !== 'file') this.#chunks.push(Buffer.from(chunk))
    this.#digester.update(chunk)
    this.#size += chunk.length
  }

  digest(): Digest {
    this.#digest ??= this.#digester.digest()
    return this.#digest
  }

  async hold(): Promise<HeldObject> {
    const link = this.#end()
    return {
      link,
      commit: async () => this.#keep(link, Buffer.concat(this.#chunks)),
      cancel: async () => void this.#chunks.splice(0),
    }
  }

  async commit(): Promise<ObjectLink> {
    const link = this.#end()
    this.#keep(link, Buffer.concat(this.#chunks))
    return link
  }

  async cancel(): Promise<void> {
    this.#ended = true
    this.#chunks.splice(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cancel()
  }

  #end(): ObjectLink {
    if (this.#ended) throw new Error('the writer of an object has ended')
    this.#ended = true
    return { digest: this.digest(), size: this.#size }
  }
}

class KeptStream implements ObjectStream {
  readonly type: ObjectType
  readonly size: number
  readonly #payload: Buffer

  constructor({ type, size, payload }: WholeObject, range?: ByteRange) {
    const { offset, length } = range ?? { offset: 0, length: size }
    this.type = type
    this.size = size
    this.#payload = payload.subarray(offset, offset + length)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const chunkBytes = 1024 * 1024
    for (let start = 0; start < this.#payload.length; start += chunkBytes) {
      yield Buffer.from(this.#payload.subarray(start, start + chunkBytes))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open.
  }
}
