import { crc32 } from 'node:zlib'
import { CorruptObjectError, InvalidObjectError } from '../../errors.js'
import { batchesOf } from '../../object/batches.js'
import type { PackFile } from './pack-file.js'
import { type PackPlace, packHeaderBytes, segmentBytes } from './pack-format.js'
import { openPayload } from './pack-payload.js'
import { checkStored, checkZeros } from './pack-stream-reader.js'
import {
  decodeSegmentHeader,
  decodeSegmentTable,
  segmentHeaderBytes,
  walkSegmentTable,
} from './segment.js'
import type { Zstd } from './zstd.js'

/** Whole segments of a pack that follow one another. */
export type SegmentRange = {
  readonly start: number
  readonly end: number
}

/** What a scan found at the place of one object. */
export type ScannedObject = {
  readonly place: PackPlace
  /** Its payload, unless it is a file's; lost when the next segment is asked for. */
  readonly payload: Buffer | undefined
  readonly problem: CorruptObjectError | InvalidObjectError | undefined
}

const pieceBytes = 1024 * 1024
const scannedAtOnce = 1024

/**
 * Cuts the segments of a pack into ranges of about so many bytes, reading only headers.
 *
 * Throws InvalidObjectError where they do not follow one another up to the trailer; the
 * ranges before that are good.
 */
export function* segmentRanges(pack: PackFile, bytes: number): Generator<SegmentRange> {
  let start = packHeaderBytes
  let at = start
  while (at < pack.segmentsEnd) {
    const next = endOfSegment(pack, at)
    if (next - start > bytes && at > start) {
      yield { start, end: at }
      start = at
    }
    at = next
  }
  if (at > start) yield { start, end: at }
}

function endOfSegment(pack: PackFile, at: number): number {
  const header = readHeader(pack, at)
  const end = at + segmentHeaderBytes + header.tableBytes + header.payloadBytes
  if (end <= pack.segmentsEnd) return end
  throw invalid(pack, `the segment at byte ${at} runs into the trailer`)
}

function readHeader(pack: PackFile, at: number) {
  const where = `${pack.path} at byte ${at}`
  const left = pack.segmentsEnd - at
  if (left < segmentHeaderBytes) throw invalid(pack, `no segment at byte ${at}`)
  const header = decodeSegmentHeader(pack.read(at, segmentHeaderBytes), where)
  if (header.kind === 'segment') return header
  throw invalid(pack, `an end mark at byte ${at}, before the last segment`)
}

/**
 * Reads every byte of some segments and holds each against its checksum or digest: a
 * segment at a time, and one in memory.
 *
 * What is wrong with one object is told; throws InvalidObjectError for a segment whose
 * table cannot be read, or that holds other bytes than its payloads.
 */
export async function* scanSegments(
  pack: PackFile,
  { start, end }: SegmentRange,
  zstd: () => Promise<Zstd>,
): AsyncGenerator<readonly ScannedObject[]> {
  let room: Buffer = Buffer.alloc(0)
  for (let at = start; at < end; ) {
    const { count, tableBytes, payloadBytes } = readHeader(pack, at)
    const where = `${pack.path} at byte ${at}`
    const head = pack.read(at, segmentHeaderBytes + tableBytes)
    const segment = { start: at, aligned: pack.isAligned, where }
    const from = at + head.length
    at = from + payloadBytes
    const [first] = count === 1 ? decodeSegmentTable(head, segment) : []
    if (first !== undefined && first.storedSize > segmentBytes) {
      yield [await scanLarge(pack, first, zstd)]
      checkFilling(pack, from, first.offset)
      checkFilling(pack, first.offset + first.storedSize, at)
      continue
    }
    if (room.length < payloadBytes) room = Buffer.allocUnsafeSlow(payloadBytes)
    const payloads = room.subarray(0, payloadBytes)
    pack.readInto(payloads, from)
    const scan = new SegmentScan(pack, payloads, from)
    // As objects, the records of a segment would take several times its bytes.
    for (const places of batchesOf(walkSegmentTable(head, segment), scannedAtOnce)) {
      const isCoded = places.some(({ codec }) => codec !== 'raw')
      yield scan.scan(places, isCoded ? await zstd() : undefined)
    }
    scan.end()
  }
}

/** One segment in memory, whose objects are looked at in their order. */
class SegmentScan {
  readonly #pack: PackFile
  readonly #payloads: Buffer
  readonly #from: number
  #filledTo = 0

  /** @param from - where the payloads start in the pack */
  constructor(pack: PackFile, payloads: Buffer, from: number) {
    this.#pack = pack
    this.#payloads = payloads
    this.#from = from
  }

  scan(places: readonly PackPlace[], zstd: Zstd | undefined): ScannedObject[] {
    return places.map(place => {
      const at = place.offset - this.#from
      checkZeros(this.#payloads.subarray(this.#filledTo, at), this.#pack.path)
      this.#filledTo = at + place.storedSize
      const stored = this.#payloads.subarray(at, this.#filledTo)
      const problem =
        problemOf(() => checkStored(place, stored, zstd, { verify: 'digests' })) ??
        problemOf(() => checkRow(this.#pack, place))
      const isPlain = place.type !== 'file' && place.codec === 'raw'
      return { place, payload: isPlain ? stored : undefined, problem }
    })
  }

  /** Looks at what stands behind the last object. */
  end(): void {
    checkZeros(this.#payloads.subarray(this.#filledTo), this.#pack.path)
  }
}

async function scanLarge(
  pack: PackFile,
  place: PackPlace,
  zstd: () => Promise<Zstd>,
): Promise<ScannedObject> {
  try {
    checkRow(pack, place)
    if (place.codec !== 'raw') checkCrc(pack, place)
    await using stream = openPayload({ pack, place }, zstd)
    // The stream verifies itself at its end.
    for await (const chunk of stream) if (chunk.length === 0) break
    return { place, payload: undefined, problem: undefined }
  } catch (error) {
    return { place, payload: undefined, problem: asProblem(error) }
  }
}

function checkCrc(pack: PackFile, place: PackPlace): void {
  let crc = 0
  for (let offset = 0; offset < place.storedSize; offset += pieceBytes) {
    const length = Math.min(pieceBytes, place.storedSize - offset)
    crc = crc32(pack.readPlace(place, offset, length), crc)
  }
  if (crc === place.crc) return
  const { digest } = place
  throw new CorruptObjectError(
    `object ${digest} is corrupt: its stored bytes do not have their checksum`,
    { digest, path: pack.path },
  )
}

// The trailer must say of an object what the table of its segment says.
function checkRow(pack: PackFile, place: PackPlace): void {
  const { digest, type, codec, offset, size, storedSize } = place
  const row = pack.find(digest)
  const agrees =
    row?.offset === offset &&
    row.storedSize === storedSize &&
    row.size === size &&
    row.type === type &&
    row.codec === codec
  if (!agrees) throw invalid(pack, `the trailer does not tell where ${digest} lies`)
}

function checkFilling(pack: PackFile, from: number, to: number): void {
  for (let at = from; at < to; at += pieceBytes) {
    checkZeros(pack.read(at, Math.min(pieceBytes, to - at)), pack.path)
  }
}

function problemOf(check: () => void): ScannedObject['problem'] {
  try {
    check()
    return undefined
  } catch (error) {
    return asProblem(error)
  }
}

function asProblem(error: unknown): CorruptObjectError | InvalidObjectError {
  if (error instanceof CorruptObjectError || error instanceof InvalidObjectError) {
    return error
  }
  throw error
}

function invalid(pack: PackFile, problem: string): InvalidObjectError {
  const { path } = pack
  return new InvalidObjectError(`invalid pack ${path}: ${problem}`, { path })
}
