import { CorruptObjectError, ObjectNotFoundError } from '../../lib/errors.js'
import type { Algorithm } from '../../lib/object/algorithm.js'
import type { ObjectLink } from '../../lib/object/descriptor.js'
import { algorithmOf, type Digest } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import type { ObjectType } from '../../lib/object/object-type.js'
import { Bitmap } from '../../lib/store/bitmap.js'
import type {
  ObjectInfo,
  ObjectReader,
  ObjectStream,
  WholeObject,
} from '../../lib/store/object-store.js'

/**
 * Objects in memory, any bytes under any type: what a store looks like that another
 * program filled without a look. What is read is verified, as every reader does.
 */
export class LenientStore implements ObjectReader {
  readonly #objects = new Map<Digest, WholeObject>()

  add(algorithm: Algorithm, type: ObjectType, payload: Uint8Array): ObjectLink {
    const digest = digestObject(algorithm, type, payload)
    const size = payload.length
    this.#objects.set(digest, { digest, type, size, payload: Buffer.from(payload) })
    return { digest, size }
  }

  /** Flips a bit of an object's payload. */
  damage(digest: Digest): void {
    const { payload, ...info } = this.#get(digest)
    const damaged = Buffer.from(payload)
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1)
    this.#objects.set(digest, { ...info, payload: damaged })
  }

  remove(digest: Digest): void {
    this.#objects.delete(digest)
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    const found = new Bitmap(digests.length)
    for (const [at, digest] of digests.entries()) {
      if (this.#objects.has(digest)) found.set(at)
    }
    return found
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    return digests.map(digest => this.#objects.get(digest))
  }

  async read(digests: readonly Digest[]): Promise<readonly WholeObject[]> {
    return digests.map(digest => {
      const object = this.#get(digest)
      verify(object)
      return object
    })
  }

  async open(digest: Digest): Promise<ObjectStream> {
    const object = this.#get(digest)
    const { type, size, payload } = object
    return {
      type,
      size,
      [Symbol.asyncDispose]: async () => {},
      async *[Symbol.asyncIterator]() {
        for (let at = 0; at < size; at += 100_000)
          yield payload.subarray(at, at + 100_000)
        verify(object)
      },
    }
  }

  #get(digest: Digest): WholeObject {
    const object = this.#objects.get(digest)
    if (object === undefined) {
      throw new ObjectNotFoundError(`no object ${digest}`, { digest })
    }
    return object
  }
}

function verify({ digest, type, payload }: WholeObject): void {
  const found = digestObject(algorithmOf(digest), type, payload)
  if (found === digest) return
  throw new CorruptObjectError(`expected ${digest}, found ${found}`, { digest, found })
}
