import { CorruptObjectError } from '../../errors.js'
import type { Digest } from '../../object/digest.js'
import type { Bitmap } from '../../store/bitmap.js'
import type {
  ByteRange,
  ObjectInfo,
  ObjectReader,
  ObjectStream,
  WholeObject,
} from '../../store/object-store.js'
import { errnoOf } from '../../system/errno.js'

/**
 * A reader for which an object that the system will not read (a bad block, a permission)
 * is a corrupt one, so that a check goes on behind it.
 */
export class CheckReader implements ObjectReader {
  readonly #reader: ObjectReader

  constructor(reader: ObjectReader) {
    this.#reader = reader
  }

  has(digests: readonly Digest[]): Promise<Bitmap> {
    return this.#reader.has(digests)
  }

  stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    return this.#reader.stat(digests)
  }

  async read(digests: readonly Digest[]): Promise<readonly WholeObject[]> {
    try {
      return await this.#reader.read(digests)
    } catch (error) {
      throw asCorrupt(error, digests)
    }
  }

  async open(digest: Digest, range?: ByteRange): Promise<ObjectStream> {
    try {
      return await this.#reader.open(digest, range)
    } catch (error) {
      throw asCorrupt(error, [digest])
    }
  }

  /** Reads a payload to its end and lets go of it; throws as open and the stream do. */
  async verify(digest: Digest, signal?: AbortSignal): Promise<void> {
    await using stream = await this.open(digest)
    try {
      for await (const chunk of stream) {
        if (chunk.length > 0) signal?.throwIfAborted()
      }
    } catch (error) {
      throw asCorrupt(error, [digest])
    }
  }
}

function asCorrupt(error: unknown, digests: readonly Digest[]): unknown {
  const errno = errnoOf(error)
  if (errno === undefined) return error
  const [digest] = digests
  const message = `object ${digest} cannot be read: ${errno}`
  return new CorruptObjectError(message, { digest, found: errno }, { cause: error })
}
