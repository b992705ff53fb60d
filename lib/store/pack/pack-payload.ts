import { CorruptObjectError, LimitExceededError } from '../../errors.js'
import { algorithmOf, type Digest } from '../../object/digest.js'
import { createObjectDigester, digestObject } from '../../object/digester.js'
import type { ObjectType } from '../../object/object-type.js'
import { maxMetadataBytes } from '../../object/received-object.js'
import { cutRange, maxChunkBytes } from '../byte-range.js'
import type { ByteRange, ObjectStream, WholeObject } from '../object-store.js'
import type { FoundObject } from './pack-folder.js'

/** Reads a whole payload, verified; throws as ObjectReader.read. */
export function readPayload({ pack, place }: FoundObject): WholeObject {
  const { digest, type, size } = place
  if (size > maxMetadataBytes) {
    throw new LimitExceededError(
      `object ${digest} is too large to read whole: expected at most ${maxMetadataBytes} bytes, found ${size}`,
      { digest, path: pack.path, limit: maxMetadataBytes, found: size },
    )
  }
  const payload = pack.read(place.offset, size)
  checkDigest(digestObject(algorithmOf(digest), type, payload), digest, pack.path)
  return { digest, type, size, payload }
}

/** Opens a payload; throws as ObjectReader.open. */
export function openPayload(found: FoundObject, range?: ByteRange): ObjectStream {
  return new PackStream(found, range)
}

class PackStream implements ObjectStream {
  readonly type: ObjectType
  readonly size: number
  readonly #found: FoundObject
  readonly #use: Disposable
  readonly #range: ByteRange | undefined
  #isClosed = false

  constructor(found: FoundObject, range: ByteRange | undefined) {
    this.type = found.place.type
    this.size = found.place.size
    this.#range = range && cutRange(range, this.size)
    this.#found = found
    this.#use = found.pack.use()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const { digest } = this.#found.place
    const digester = createObjectDigester(algorithmOf(digest), this.type)
    const { offset, length } = this.#range ?? { offset: 0, length: this.size }
    try {
      for (let given = 0; given < length; ) {
        const chunk = this.#read(offset + given, Math.min(length - given, maxChunkBytes))
        given += chunk.length
        if (this.#range === undefined) digester.update(chunk)
        yield chunk
      }
      if (this.#range === undefined) {
        checkDigest(digester.digest(), digest, this.#found.pack.path)
      }
    } finally {
      await this[Symbol.asyncDispose]()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#use[Symbol.dispose]()
  }

  #read(offset: number, length: number): Buffer {
    if (this.#isClosed) throw new Error('the stream of an object is closed')
    return this.#found.pack.read(this.#found.place.offset + offset, length)
  }
}

function checkDigest(found: Digest, expected: Digest, path: string): void {
  if (found === expected) return
  throw new CorruptObjectError(
    `object ${expected} is corrupt: found ${found} in ${path}`,
    { digest: expected, expected, found, path },
  )
}
