import type { Algorithm } from '../../object/algorithm.js'
import type { ObjectLink } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { digestObject } from '../../object/digester.js'
import { dependenciesOf } from '../../object/received-object.js'
import type { Bitmap } from '../../store/bitmap.js'
import type {
  HeldObject,
  NewObject,
  NewStream,
  ObjectInfo,
  ObjectWriter,
  StoreSession,
} from '../../store/object-store.js'

/** What a session takes of all that it is given. */
export type Taken = {
  readonly algorithm: Algorithm
  takes(digest: Digest): boolean
}

/**
 * A session that keeps, in another one, only those of its objects that are wanted, and tells
 * the digests of all.
 *
 * A directory or application whose children are not all there is not kept.
 */
export class TakingSession implements StoreSession {
  readonly #session: StoreSession
  readonly #taken: Taken
  #isIncomplete = false

  constructor(session: StoreSession, taken: Taken) {
    this.#session = session
    this.#taken = taken
  }

  get algorithm(): Algorithm {
    return this.#taken.algorithm
  }

  /** Whether something wanted was not kept, because something below it was not. */
  get isIncomplete(): boolean {
    return this.#isIncomplete
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    return this.#session.has(digests)
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    return this.#session.stat(digests)
  }

  find(digest: Digest): ObjectInfo | undefined {
    return this.#session.find(digest)
  }

  async put(batch: readonly NewObject[]): Promise<readonly ObjectLink[]> {
    const links: ObjectLink[] = []
    for (const object of batch) {
      const { type, payload, algorithm = this.algorithm } = object
      const digest = object.digest ?? digestObject(algorithm, type, payload)
      links.push({ digest, size: payload.length })
      if (!this.#taken.takes(digest)) continue
      // One by one: a directory may stand behind what is in it.
      if (await this.#isWhole(object)) await this.#session.put([{ ...object, algorithm }])
      else this.#isIncomplete = true
    }
    return links
  }

  async stream(object: NewStream): Promise<ObjectWriter> {
    const { algorithm = this.algorithm } = object
    return new TakingWriter(
      await this.#session.stream({ ...object, algorithm }),
      this.#taken,
    )
  }

  async publish(roots: readonly Digest[]): Promise<void> {
    await this.#session.publish(roots)
  }

  /** The other session is its owner's. */
  async [Symbol.asyncDispose](): Promise<void> {}

  async #isWhole({ type, payload }: NewObject): Promise<boolean> {
    const children = dependenciesOf(type, payload, 'strict').map(({ digest }) => digest)
    return (await this.#session.has(children)).count() === children.length
  }
}

class TakingWriter implements ObjectWriter {
  readonly #writer: ObjectWriter
  readonly #taken: Taken

  constructor(writer: ObjectWriter, taken: Taken) {
    this.#writer = writer
    this.#taken = taken
  }

  get size(): number {
    return this.#writer.size
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#writer.write(chunk)
  }

  digest(): Digest {
    return this.#writer.digest()
  }

  async hold(): Promise<HeldObject> {
    return this.#writer.hold()
  }

  async commit(): Promise<ObjectLink> {
    const digest = this.#writer.digest()
    if (this.#taken.takes(digest)) return this.#writer.commit()
    const { size } = this.#writer
    await this.#writer.cancel()
    return { digest, size }
  }

  async cancel(): Promise<void> {
    await this.#writer.cancel()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}
