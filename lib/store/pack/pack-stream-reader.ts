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
    yield* readSegment(segment, places, options)
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

async function* readSegment(
  segment: Segment,
  places: readonly PackPlace[],
  options: PackStreamOptions,
): AsyncGenerator<StreamedPart> {
  const { bytes, base, end } = segment
  const [first] = places
  if (first !== undefined && places.length === 1 && first.storedSize > segmentBytes) {
    await skipZeros(segment, first.offset, options.where)
    const large = new LargeReader(bytes, first, options)
    yield { kind: 'large', record: first, chunks: large }
    await large.finish()
  } else {
    const start = bytes.offset - base
    const payloads = await bytes.take(end - start)
    yield {
      kind: 'whole',
      objects: await wholeObjects({ payloads, start }, places, options),
    }
  }
  await skipZeros(segment, end, options.where)
}

async function wholeObjects(
  { payloads, start }: { payloads: Buffer; start: number },
  places: readonly PackPlace[],
  options: PackStreamOptions,
): Promise<StreamedObject[]> {
  const isCoded = places.some(({ codec }) => codec !== 'raw')
  const zstd = isCoded ? await options.zstd() : undefined
  let filledTo = start
  const objects = places.map(({ offset, ...record }) => {
    checkZeros(payloads.subarray(filledTo - start, offset - start), options.where)
    filledTo = offset + record.storedSize
    const stored = payloads.subarray(offset - start, filledTo - start)
    checkStored(record, stored, zstd, options)
    return { ...record, stored }
  })
  checkZeros(payloads.subarray(filledTo - start), options.where)
  return objects
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
  const algorithm = algorithmOf(record.digest)
  if (record.codec === 'raw' || zstd === undefined) {
    compare(record.digest, digestObject(algorithm, record.type, stored))
    return
  }
  const digester = createObjectDigester(algorithm, record.type)
  const range = { from: 0, to: record.size }
  for (const plain of readFrames(codedSource(record, stored), zstd, range)) {
    digester.update(plain)
  }
  compare(record.digest, digester.digest())
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
