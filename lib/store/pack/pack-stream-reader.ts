import { crc32 } from 'node:zlib'
import { CorruptObjectError, InvalidObjectError } from '../../errors.js'
import { algorithmOf, type Digest } from '../../object/digest.js'
import {
  createObjectDigester,
  type Digester,
  digestObject,
} from '../../object/digester.js'
import {
  alignedFlag,
  frameBytes,
  type PackPlace,
  type PackRecord,
  packHeaderBytes,
  packMagic,
  segmentBytes,
} from './pack-format.js'
import { decodeSegmentHeader, decodeSegmentTable, segmentHeaderBytes } from './segment.js'
import { StreamBytes } from './stream-bytes.js'
import type { Zstd } from './zstd.js'
import { type CodedSource, FrameChecker, readFrames } from './zstd-frames.js'

const chunkBytes = 1024 * 1024

/** An object of a pack stream, whole. */
export type StreamedObject = PackRecord & {
  /** Stored bytes, coded as `codec` says. */
  readonly stored: Buffer
}

/** A part of a pack stream. */
export type StreamedPart =
  /** A segment: among its objects the order is free. */
  | { readonly kind: 'whole'; readonly objects: readonly StreamedObject[] }
  /** One object beyond 8 MiB, to be read before the next part is asked for. */
  | {
      readonly kind: 'large'
      readonly record: PackRecord
      /** Stored bytes; throws CorruptObjectError behind the last when they are wrong. */
      readonly chunks: AsyncIterable<Buffer>
    }

/** How a pack stream is read. */
export type PackStreamOptions = {
  /** Names the stream in errors. */
  readonly where: string
  /** Decodes compressed payloads. */
  readonly zstd: () => Promise<Zstd>
  /**
   * `digests`: every object is held against its digest. `checksums`: only objects beyond
   * 8 MiB are, for a receiver that verifies the others itself.
   */
  readonly verify: 'digests' | 'checksums'
}

/**
 * Reads a pack from front to back: from disk, or the unpadded form of the wire.
 *
 * Yields a segment at a time and holds no more than that in memory. Throws
 * InvalidObjectError, CorruptObjectError, or ConnectionLostError when the stream ends too
 * early.
 */
export async function* readPackStream(
  source: AsyncIterable<Uint8Array>,
  options: PackStreamOptions,
): AsyncGenerator<StreamedPart> {
  const bytes = new StreamBytes(source, options.where)
  try {
    yield* readPackFrom(bytes, options)
  } finally {
    await bytes.close()
  }
}

/** As readPackStream, from where a stream stands. */
export async function* readPackFrom(
  bytes: StreamBytes,
  options: PackStreamOptions,
): AsyncGenerator<StreamedPart> {
  const { where } = options
  const base = bytes.offset
  const aligned = decodePackHeader(await bytes.take(packHeaderBytes), where)
  let total = 0
  for (;;) {
    const start = bytes.offset - base
    const headerBytes = await bytes.take(segmentHeaderBytes)
    const header = decodeSegmentHeader(headerBytes, where)
    if (header.kind === 'end') {
      if (header.total !== total) {
        throw invalid(where, `${total} objects, the end mark counts ${header.total}`)
      }
      break
    }
    const head = Buffer.concat([headerBytes, await bytes.take(header.tableBytes)])
    const places = decodeSegmentTable(head, { start, aligned, where })
    total += places.length
    const segment = { bytes, base, end: start + head.length + header.payloadBytes }
    const [first] = places
    if (places.length === 1 && first !== undefined && first.storedSize > segmentBytes) {
      yield* readLarge(segment, first, options)
    } else {
      yield* readWhole(segment, places, options)
    }
    await skipZeros(segment, segment.end, where)
  }
  // On disk the trailer follows, which says nothing new.
  if (!aligned && !(await bytes.hasEnded())) {
    throw invalid(where, 'something stands behind the end mark')
  }
}

/** Whether payloads are aligned; throws InvalidObjectError for what starts no pack. */
function decodePackHeader(header: Buffer, where: string): boolean {
  const flags = header.readUInt32LE(packMagic.length)
  const isPack = header.subarray(0, packMagic.length).equals(packMagic)
  if (!isPack || flags > alignedFlag || header.readUInt32LE(12) !== 0) {
    throw invalid(where, 'it does not start as a pack')
  }
  return flags === alignedFlag
}

type Segment = {
  readonly bytes: StreamBytes
  readonly base: number
  readonly end: number
}

async function* readLarge(
  segment: Segment,
  place: PackPlace,
  options: PackStreamOptions,
): AsyncGenerator<StreamedPart> {
  await skipZeros(segment, place.offset, options.where)
  const large = new LargeReader(segment.bytes, place, options)
  yield { kind: 'large', record: place, chunks: large }
  await large.finish()
}

async function* readWhole(
  { bytes, base, end }: Segment,
  places: readonly PackPlace[],
  options: PackStreamOptions,
): AsyncGenerator<StreamedPart> {
  const start = bytes.offset - base
  const payloads = await bytes.take(end - start)
  const isCoded = places.some(({ codec }) => codec !== 'raw')
  const zstd = isCoded ? await options.zstd() : undefined
  let filledTo = 0
  const objects = places.map(({ offset, ...record }) => {
    const at = offset - start
    checkZeros(payloads.subarray(filledTo, at), options.where)
    filledTo = at + record.storedSize
    const stored = payloads.subarray(at, filledTo)
    checkStored(record, stored, zstd, options)
    return { ...record, stored }
  })
  checkZeros(payloads.subarray(filledTo), options.where)
  yield { kind: 'whole', objects }
}

/** Holds stored bytes against their checksum and their digest; throws CorruptObjectError. */
export function checkStored(
  record: PackRecord,
  stored: Buffer,
  zstd: Zstd | undefined,
  { verify }: Pick<PackStreamOptions, 'verify'>,
): void {
  if (record.codec !== 'raw' && crc32(stored) !== record.crc) {
    throw corrupt(record.digest, 'its stored bytes do not have their checksum')
  }
  if (verify === 'checksums') return
  compare(record.digest, digestOfStored(record, stored, zstd))
}

/** The digest that an object has whose stored bytes are in memory. */
export function digestOfStored(
  record: PackRecord,
  stored: Buffer,
  zstd: Zstd | undefined,
): Digest {
  const algorithm = algorithmOf(record.digest)
  const { type, size } = record
  if (record.codec === 'raw' || zstd === undefined) {
    return digestObject(algorithm, type, stored)
  }
  const frames = readFrames(codedSource(record, stored), zstd, { from: 0, to: size })
  if (size <= frameBytes) return digestObject(algorithm, type, Buffer.concat([...frames]))
  // A digester has memory of its own that is freed late: there must not be one for each
  // small object.
  const digester = createObjectDigester(algorithm, type)
  for (const plain of frames) digester.update(plain)
  return digester.digest()
}

/** A coded payload in memory. */
export function codedSource(
  { digest, size }: { digest: Digest; size: number },
  stored: Buffer,
): CodedSource {
  return {
    size,
    storedSize: stored.length,
    read: (offset, length) => {
      if (offset + length <= stored.length)
        return stored.subarray(offset, offset + length)
      throw corrupt(digest, 'its frames are cut off')
    },
    corrupt: problem => corrupt(digest, problem),
  }
}

// Reads one payload piece by piece, digesting what it holds.
class LargeReader implements AsyncIterable<Buffer> {
  readonly #bytes: StreamBytes
  readonly #record: PackRecord
  readonly #options: PackStreamOptions
  readonly #chunks: AsyncGenerator<Buffer>

  constructor(bytes: StreamBytes, record: PackRecord, options: PackStreamOptions) {
    this.#bytes = bytes
    this.#record = record
    this.#options = options
    this.#chunks = this.#read()
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    // Leaving a loop must not end the generator: finish() reads what is left.
    return { next: async () => this.#chunks.next() }
  }

  /** Reads and checks what the receiver has left. */
  async finish(): Promise<void> {
    while ((await this.#chunks.next()).done !== true);
  }

  async *#read(): AsyncGenerator<Buffer> {
    const { digest, type, codec } = this.#record
    const digester = createObjectDigester(algorithmOf(digest), type)
    yield* codec === 'raw' ? this.#readRaw(digester) : this.#readCoded(digester)
    compare(digest, digester.digest())
  }

  async *#readRaw(digester: Digester): AsyncGenerator<Buffer> {
    for (let left = this.#record.storedSize; left > 0; ) {
      const chunk = await this.#bytes.take(Math.min(left, chunkBytes))
      digester.update(chunk)
      left -= chunk.length
      yield chunk
    }
  }

  async *#readCoded(digester: Digester): AsyncGenerator<Buffer> {
    const zstd = await this.#options.zstd()
    const frames = new FrameChecker(this.#record, problem =>
      corrupt(this.#record.digest, problem),
    )
    const table = await this.#bytes.take(frames.tableBytes)
    let crc = crc32(table)
    const lengths = frames.lengths(table)
    yield table
    for (const [index, length] of lengths.entries()) {
      const frame = await this.#bytes.take(length)
      crc = crc32(frame, crc)
      digester.update(frames.decode(index, frame, zstd))
      yield frame
    }
    if (crc !== this.#record.crc) {
      throw corrupt(this.#record.digest, 'its stored bytes do not have their checksum')
    }
  }
}

async function skipZeros(
  { bytes, base }: Segment,
  to: number,
  where: string,
): Promise<void> {
  while (bytes.offset - base < to) {
    checkZeros(await bytes.takeSome(to - (bytes.offset - base)), where)
  }
}

/** Throws InvalidObjectError where a payload is not followed by zeros. */
export function checkZeros(bytes: Uint8Array, where: string): void {
  for (const byte of bytes) {
    if (byte !== 0) throw invalid(where, 'a payload is not followed by zeros')
  }
}

function compare(expected: Digest, found: Digest): void {
  if (found === expected) return
  throw new CorruptObjectError(`object ${expected} is corrupt: found ${found}`, {
    digest: expected,
    expected,
    found,
  })
}

function corrupt(digest: Digest, problem: string): CorruptObjectError {
  return new CorruptObjectError(`object ${digest} is corrupt: ${problem}`, { digest })
}

function invalid(where: string, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid pack ${where}: ${problem}`, { where })
}
