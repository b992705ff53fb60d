import { ObjectNotFoundError } from '../../errors.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../object-store.js'
import { DigestScratch } from './digest-scratch.js'
import {
  isAligned,
  maxSegmentRecords,
  type PackRecord,
  segmentBytes,
} from './pack-format.js'
import { encodePackHeader } from './pack-writer.js'
import { encodeEndMark, encodeSegmentHead, RecordRows } from './segment.js'

/** Stored bytes of the largest object that a source hands over whole. */
export const wholeBytes = 64 * 1024

// Beyond this, an object gets a segment of its own, and is never whole in memory.
const aloneFrom = 1024 * 1024

/** An object to be put into a stream: whole, or, when it is large, in chunks. */
export type SourceObject = PackRecord &
  ({ readonly stored: Uint8Array } | { chunks(): AsyncIterable<Uint8Array> })

/** Gives objects for a stream, in order. */
export type StreamSource = {
  readStored(digests: readonly Digest[]): Promise<readonly SourceObject[]>

  /** Stored bytes of each object, in order. Throws ObjectNotFoundError. */
  storedSizes(digests: readonly Digest[]): Promise<readonly number[]>
}

/** How a stream is written. */
export type PackStreamWriting = {
  /** Payload bytes that a segment gathers: 8 MiB unless told, and at most that. */
  readonly segmentBytes?: number
}

/** Makes a source of any reader: objects are verified as they are read, and sent raw. */
export function plainSource(reader: ObjectReader): StreamSource {
  return {
    readStored: async digests => readPlain(reader, digests),
    storedSizes: async digests => {
      const infos = await reader.stat(digests)
      return digests.map((digest, index) => infos[index]?.size ?? notFound(digest))
    },
  }
}

function notFound(digest: Digest): never {
  throw new ObjectNotFoundError(`no object ${digest}`, { digest })
}

async function readPlain(
  reader: ObjectReader,
  digests: readonly Digest[],
): Promise<readonly SourceObject[]> {
  const infos = await reader.stat(digests)
  const small = digests.filter((_, index) => (infos[index]?.size ?? 0) <= wholeBytes)
  const whole = (await reader.read(small)).values()
  return digests.map((digest, index) => {
    const info = infos[index]
    if (info === undefined || info.size <= wholeBytes) {
      const next = whole.next().value
      if (next === undefined) throw new Error(`the store gave nothing for ${digest}`)
      return { ...rawRecord(next), stored: next.payload }
    }
    return {
      ...rawRecord({ digest, ...info }),
      async *chunks() {
        yield* await reader.open(digest)
      },
    }
  })
}

function rawRecord({ digest, type, size }: RawFacts) {
  return { digest, type, size, codec: 'raw', storedSize: size, crc: 0 } as const
}

type RawFacts = Pick<PackRecord, 'digest' | 'type' | 'size'>

/**
 * Writes the unpadded form of a pack: what a wire or a bundle carries.
 *
 * Keeps the order of the batches, except that within one segment raw files from 16 KiB on
 * stand last; holds a segment and one batch in memory, so batches should be small.
 */
export async function* writePackStream(
  digests: AsyncIterable<readonly Digest[]> | Iterable<readonly Digest[]>,
  source: StreamSource,
  writing: PackStreamWriting = {},
): AsyncGenerator<Uint8Array> {
  yield encodePackHeader(0)
  const segment = new SegmentDraft(writing.segmentBytes ?? segmentBytes)
  let total = 0
  for await (const batch of digests) {
    for (const object of await source.readStored(batch)) {
      total += 1
      if ('chunks' in object && object.storedSize >= aloneFrom) {
        yield* segment.take()
        yield* writeLarge(object)
      } else {
        const stored = 'chunks' in object ? await collect(object.chunks()) : object.stored
        if (!segment.hasRoom(object.storedSize)) yield* segment.take()
        segment.add(object, stored)
      }
    }
  }
  yield* segment.take()
  yield encodeEndMark(total)
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = []
  for await (const chunk of chunks) collected.push(chunk)
  return Buffer.concat(collected)
}

async function* writeLarge(
  object: PackRecord & { chunks(): AsyncIterable<Uint8Array> },
): AsyncGenerator<Uint8Array> {
  const rows = new RecordRows()
  const scratch = new DigestScratch()
  scratch.load(object.digest)
  rows.add(scratch.bytes, scratch.length, object)
  yield encodeSegmentHead([rows], object.storedSize)
  let given = 0
  for await (const chunk of object.chunks()) {
    given += chunk.length
    yield chunk
  }
  if (given !== object.storedSize) {
    throw new Error(`${object.digest} gave ${given} of ${object.storedSize} bytes`)
  }
}

// A segment being gathered.
class SegmentDraft {
  readonly #scratch = new DigestScratch()
  readonly #halves = [new Half(), new Half()] as const
  readonly #most: number
  #bytes = 0

  constructor(most: number) {
    this.#most = most
  }

  hasRoom(size: number): boolean {
    const [plain, last] = this.#halves
    const records = plain.rows.count + last.rows.count
    return this.#bytes + size <= this.#most && records < maxSegmentRecords
  }

  add(record: PackRecord, stored: Uint8Array): void {
    this.#scratch.load(record.digest)
    const half = this.#halves[isAligned(record) ? 1 : 0]
    half.rows.add(this.#scratch.bytes, this.#scratch.length, record)
    half.add(stored)
    this.#bytes += stored.length
  }

  *take(): Generator<Uint8Array> {
    const [plain, last] = this.#halves
    if (plain.rows.count + last.rows.count === 0) return
    const head = encodeSegmentHead([plain.rows, last.rows], this.#bytes)
    // One chunk: a chunk for each object would cost more than copying it.
    yield Buffer.concat([head, plain.bytes, last.bytes])
    for (const half of this.#halves) half.clear()
    this.#bytes = 0
  }
}

class Half {
  readonly rows = new RecordRows()
  #buffer = Buffer.alloc(0)
  #used = 0

  /** The payloads back to back; lost with the next one that is added. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used)
  }

  add(payload: Uint8Array): void {
    const end = this.#used + payload.length
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.max(end, Math.min(2 * end, segmentBytes)),
      )
      this.#buffer.copy(larger, 0, 0, this.#used)
      this.#buffer = larger
    }
    this.#buffer.set(payload, this.#used)
    this.#used = end
  }

  clear(): void {
    this.rows.clear()
    this.#used = 0
  }
}
