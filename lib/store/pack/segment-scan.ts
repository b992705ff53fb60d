import { crc32 } from 'node:zlib'
import { CorruptObjectError, InvalidObjectError } from '../../errors.js'
import type { PackFile } from './pack-file.js'
import { type PackPlace, packHeaderBytes, segmentBytes } from './pack-format.js'
import { openPayload } from './pack-payload.js'
import { checkStored, checkZeros } from './pack-stream-reader.js'
import { decodeSegmentHeader, decodeSegmentTable, segmentHeaderBytes } from './segment.js'
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
    const { tableBytes, payloadBytes } = readHeader(pack, at)
    const where = `${pack.path} at byte ${at}`
    const head = pack.read(at, segmentHeaderBytes + tableBytes)
    const places = decodeSegmentTable(head, { start: at, aligned: pack.isAligned, where })
    const from = at + head.length
    at = from + payloadBytes
    const [first] = places
    if (first !== undefined && places.length === 1 && first.storedSize > segmentBytes) {
      yield [await scanLarge(pack, first, zstd)]
      checkFilling(pack, from, first.offset)
      checkFilling(pack, first.offset + first.storedSize, at)
      continue
    }
    if (room.length < payloadBytes) room = Buffer.allocUnsafeSlow(payloadBytes)
    const payloads = room.subarray(0, payloadBytes)
    pack.readInto(payloads, from)
    const isCoded = places.some(({ codec }) => codec !== 'raw')
    yield scanWhole({ pack, payloads, from }, places, isCoded ? await zstd() : undefined)
  }
}

type LoadedSegment = {
  readonly pack: PackFile
  readonly payloads: Buffer
  readonly from: number
}

function scanWhole(
  { pack, payloads, from }: LoadedSegment,
  places: readonly PackPlace[],
  zstd: Zstd | undefined,
): ScannedObject[] {
  let filledTo = 0
  const scanned = places.map(place => {
    const at = place.offset - from
    checkZeros(payloads.subarray(filledTo, at), pack.path)
    filledTo = at + place.storedSize
    const stored = payloads.subarray(at, filledTo)
    const problem =
      problemOf(() => checkStored(place, stored, zstd, { verify: 'digests' })) ??
      problemOf(() => checkRow(pack, place))
    const isPlain = place.type !== 'file' && place.codec === 'raw'
    return { place, payload: isPlain ? stored : undefined, problem }
  })
  checkZeros(payloads.subarray(filledTo), pack.path)
  return scanned
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
