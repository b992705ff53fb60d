import { crc32 } from 'node:zlib'
import { CorruptObjectError, LimitExceededError } from '../../errors.js'
import { algorithmOf, type Digest } from '../../object/digest.js'
import { createObjectDigester, digestObject } from '../../object/digester.js'
import type { ObjectType } from '../../object/object-type.js'
import { maxMetadataBytes } from '../../object/received-object.js'
import { cutRange, maxChunkBytes } from '../byte-range.js'
import type { ByteRange, ObjectStream, WholeObject } from '../object-store.js'
import type { PackPlace, PlacedObject, PlaceReader } from './pack-format.js'
import { type SourceObject, wholeBytes } from './pack-stream-writer.js'
import type { Zstd } from './zstd.js'
import { readFrames } from './zstd-frames.js'

/** Loads the codec of compressed payloads, once it is needed. */
export type ZstdSource = () => Promise<Zstd>

/**
 * Reads a whole payload, verified; throws as ObjectReader.read.
 *
 * @param zstd - decodes compressed payloads; may be absent for raw ones
 */
export function readPayload(found: PlacedObject, zstd: Zstd | undefined): WholeObject {
  const { pack, place } = found
  const { digest, type, size } = place
  if (size > maxMetadataBytes) {
    throw new LimitExceededError(
      `object ${digest} is too large to read whole: expected at most ${maxMetadataBytes} bytes, found ${size}`,
      { digest, path: pack.path, limit: maxMetadataBytes, found: size },
    )
  }
  const payload =
    place.codec === 'raw'
      ? pack.readPlace(place, 0, size)
      : gather(size, decoded(found, needed(zstd), { offset: 0, length: size }))
  checkDigest(digestObject(algorithmOf(digest), type, payload), digest, pack.path)
  return { digest, type, size, payload }
}

/** Opens a payload; throws as ObjectReader.open. */
export function openPayload(
  found: PlacedObject,
  zstd: ZstdSource,
  range?: ByteRange,
): ObjectStream {
  return new PackStream(found, zstd, range)
}

/** An object as it is stored, for a stream of packs. */
export function storedObject({ pack, place }: PlacedObject): SourceObject {
  const { offset: _, ...record } = place
  if (place.storedSize <= wholeBytes) {
    const stored = pack.readPlace(place, 0, place.storedSize)
    return { ...record, crc: place.codec === 'raw' ? 0 : crc32(stored), stored }
  }
  const use = pack.use()
  const pieces = (): Generator<Buffer> => storedPieces(pack, place)
  let crc = 0
  // The checksum stands in front of the payload, so this reads it once more.
  if (place.codec !== 'raw') for (const piece of pieces()) crc = crc32(piece, crc)
  return {
    ...record,
    crc,
    async *chunks() {
      try {
        yield* pieces()
      } finally {
        use[Symbol.dispose]()
      }
    },
  }
}

function* storedPieces(pack: PlaceReader, place: PackPlace): Generator<Buffer> {
  for (let offset = 0; offset < place.storedSize; offset += maxChunkBytes) {
    const length = Math.min(place.storedSize - offset, maxChunkBytes)
    yield pack.readPlace(place, offset, length)
  }
}

class PackStream implements ObjectStream {
  readonly type: ObjectType
  readonly size: number
  readonly #found: PlacedObject
  readonly #zstd: ZstdSource
  readonly #use: Disposable
  readonly #range: ByteRange | undefined
  #isClosed = false

  constructor(found: PlacedObject, zstd: ZstdSource, range: ByteRange | undefined) {
    this.type = found.place.type
    this.size = found.place.size
    this.#range = range && cutRange(range, this.size)
    this.#found = found
    this.#zstd = zstd
    this.#use = found.pack.use()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    this.#checkOpen()
    const { digest, codec } = this.#found.place
    const range = this.#range ?? { offset: 0, length: this.size }
    const digester =
      this.#range === undefined
        ? createObjectDigester(algorithmOf(digest), this.type)
        : undefined
    try {
      const chunks =
        codec === 'raw'
          ? raw(this.#found, range)
          : decoded(this.#found, await this.#zstd(), range)
      for (const chunk of chunks) {
        digester?.update(chunk)
        yield chunk
        this.#checkOpen()
      }
      if (digester !== undefined) {
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

  #checkOpen(): void {
    if (this.#isClosed) throw new Error('the stream of an object is closed')
  }
}

function* raw(
  { pack, place }: PlacedObject,
  { offset, length }: ByteRange,
): Generator<Uint8Array> {
  for (let given = 0; given < length; given += maxChunkBytes) {
    yield pack.readPlace(place, offset + given, Math.min(length - given, maxChunkBytes))
  }
}

function decoded(
  { pack, place }: PlacedObject,
  zstd: Zstd,
  { offset, length }: ByteRange,
): Generator<Uint8Array> {
  const { digest, size, storedSize } = place
  const source = {
    size,
    storedSize,
    read: (at: number, bytes: number) => pack.readPlace(place, at, bytes),
    corrupt: (problem: string) =>
      new CorruptObjectError(`object ${digest} is corrupt in ${pack.path}: ${problem}`, {
        digest,
        path: pack.path,
      }),
  }
  return readFrames(source, zstd, { from: offset, to: offset + length })
}

// Joining them at the end would take their memory twice.
function gather(size: number, chunks: Iterable<Uint8Array>): Buffer {
  const payload = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const chunk of chunks) {
    payload.set(chunk, at)
    at += chunk.length
  }
  if (at !== size) throw new Error(`frames gave ${at} bytes, expected ${size}`)
  return payload
}

function needed(zstd: Zstd | undefined): Zstd {
  if (zstd === undefined) throw new Error('the codec of a compressed payload is missing')
  return zstd
}

function checkDigest(found: Digest, expected: Digest, path: string): void {
  if (found === expected) return
  throw new CorruptObjectError(
    `object ${expected} is corrupt: found ${found} in ${path}`,
    { digest: expected, expected, found, path },
  )
}
