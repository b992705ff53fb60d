import { CorruptObjectError } from '../../errors.js'
import { algorithmOf, type Digest } from '../../object/digest.js'
import { createObjectDigester } from '../../object/digester.js'
import type { ZstdSource } from './pack-payload.js'
import { digestOfStored } from './pack-stream-reader.js'
import type { SourceObject, StreamSource } from './pack-stream-writer.js'
import { FrameChecker } from './zstd-frames.js'

/**
 * Gives objects in the form in which they are stored, each held against its digest: what
 * is damaged here must not be handed on. Throws CorruptObjectError.
 */
export function verifiedSource(source: StreamSource, zstd: ZstdSource): StreamSource {
  return {
    async readStored(digests) {
      const objects = await source.readStored(digests)
      const verified: SourceObject[] = []
      for (const object of objects) verified.push(await verify(object, zstd))
      return verified
    },
    storedSizes: async digests => source.storedSizes(digests),
  }
}

async function verify(object: SourceObject, zstd: ZstdSource): Promise<SourceObject> {
  if ('chunks' in object) {
    return { ...object, chunks: () => verifiedChunks(object, zstd) }
  }
  const { digest, stored } = object
  const codec = object.codec === 'raw' ? undefined : await zstd()
  compare(
    digest,
    digestOfStored(
      object,
      Buffer.from(stored.buffer, stored.byteOffset, stored.length),
      codec,
    ),
  )
  return object
}

async function* verifiedChunks(
  object: Extract<SourceObject, { chunks: unknown }>,
  zstd: ZstdSource,
): AsyncGenerator<Uint8Array> {
  const { digest, type, codec } = object
  const digester = createObjectDigester(algorithmOf(digest), type)
  const plain = codec === 'raw' ? undefined : new FrameFeed(object, zstd)
  for await (const chunk of object.chunks()) {
    if (plain === undefined) digester.update(chunk)
    else for await (const piece of plain.take(chunk)) digester.update(piece)
    yield chunk
  }
  compare(digest, digester.digest())
}

// Decodes frames that come in pieces of any size.
class FrameFeed {
  readonly #frames: FrameChecker
  readonly #zstd: ZstdSource
  #lengths: Uint32Array | undefined
  #index = 0
  #rest: Uint8Array[] = []
  #held = 0

  constructor(
    { digest, size, storedSize }: { digest: Digest; size: number; storedSize: number },
    zstd: ZstdSource,
  ) {
    this.#frames = new FrameChecker({ size, storedSize }, problem =>
      corrupt(digest, problem),
    )
    this.#zstd = zstd
  }

  async *take(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
    this.#rest.push(chunk)
    this.#held += chunk.length
    const zstd = await this.#zstd()
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (this.#lengths === undefined) this.#lengths = this.#frames.lengths(next)
      else yield this.#frames.decode(this.#index++, next, zstd)
    }
  }

  /** The table of lengths, then each frame, once all of it is there. */
  #next(): Buffer | undefined {
    const length =
      this.#lengths === undefined ? this.#frames.tableBytes : this.#lengths[this.#index]
    if (length === undefined || this.#held < length) return undefined
    const bytes = Buffer.concat(this.#rest)
    this.#rest = [bytes.subarray(length)]
    this.#held -= length
    return bytes.subarray(0, length)
  }
}

function compare(expected: Digest, found: Digest): void {
  if (found !== expected) throw corrupt(expected, `found ${found}`)
}

function corrupt(digest: Digest, problem: string): CorruptObjectError {
  return new CorruptObjectError(`object ${digest} is corrupt: ${problem}`, { digest })
}
