import { type ArchivePlace, archiveLimit, invalidArchive } from './archive-error.js'
import type { ByteSource } from './byte-source.js'
import { blockBytes, maxSparseParts, paddingOf } from './tar-format.js'
import { findTarNumber } from './tar-number.js'

/** The parts of a sparse file that are stored; all else is zeros. */
export type SparseMap = {
  /** Bytes of the whole file. */
  readonly size: number
  /** Offset and length of each part, alternating, ascending. */
  readonly parts: readonly number[]
}

/**
 * Makes a map of numbers that an archive gave; throws InvalidArchiveError unless its
 * parts ascend, lie within the file, and are together what is stored.
 */
export function checkSparseMap(
  map: SparseMap,
  storedBytes: number,
  place: ArchivePlace,
): SparseMap {
  const { size, parts } = map
  if (parts.length % 2 !== 0) throw invalidArchive(place, 'half a part in a sparse map')
  let end = 0
  let stored = 0
  for (let at = 0; at < parts.length; at += 2) {
    const offset = parts[at] ?? 0
    const length = parts[at + 1] ?? 0
    if (offset < end || offset + length > size) {
      throw invalidArchive(place, 'impossible part in a sparse map', {
        expected: `from ${end} to ${size}`,
        found: `${length} bytes at ${offset}`,
      })
    }
    end = offset + length
    stored += length
  }
  if (stored !== storedBytes) {
    throw invalidArchive(place, 'a sparse map does not fit what is stored', {
      expected: `${storedBytes} bytes`,
      found: stored,
    })
  }
  return map
}

const oldPartBytes = 24
const oldParts = { first: 386, more: 0 } as const
const oldCounts = { first: 4, more: 21 } as const

/** Reads the map of an old GNU sparse file: in its header, and in blocks behind that. */
export async function readOldSparseMap(
  header: Buffer,
  source: ByteSource,
  place: ArchivePlace,
): Promise<SparseMap> {
  const size = oldNumber(header, 483, place)
  const parts: number[] = []
  addOldParts(parts, header, oldParts.first, oldCounts.first, place)
  for (let more = header[482] !== 0; more; ) {
    const block = await source.read(blockBytes)
    addOldParts(parts, block, oldParts.more, oldCounts.more, place)
    more = block[504] !== 0
    checkCount(parts, place)
  }
  return { size, parts }
}

/**
 * Reads a map of version 1.0: decimal lines in front of the content, up to the next block.
 *
 * @param limit - bytes that are stored, map and content together
 * @returns the numbers, and how many bytes the map took
 */
export async function readSparseLines(
  source: ByteSource,
  limit: number,
  place: ArchivePlace,
): Promise<{ readonly parts: readonly number[]; readonly bytes: number }> {
  const lines = new LineReader(source, limit, place)
  const count = await lines.next()
  if (count > maxSparseParts) {
    throw archiveLimit(place, 'parts of a sparse file', {
      expected: maxSparseParts,
      found: count,
    })
  }
  const parts: number[] = []
  for (let at = 0; at < 2 * count; at++) parts.push(await lines.next())
  return { parts, bytes: lines.bytes }
}

class LineReader {
  readonly #source: ByteSource
  readonly #limit: number
  readonly #place: ArchivePlace
  #block: Buffer = Buffer.alloc(0)
  #at = 0
  bytes = 0

  constructor(source: ByteSource, limit: number, place: ArchivePlace) {
    this.#source = source
    this.#limit = limit
    this.#place = place
  }

  async next(): Promise<number> {
    let value = 0
    for (let digits = 0; digits <= 16; digits++) {
      const byte = await this.#byte()
      if (byte === 0x0a && digits > 0) return value
      if (byte < 0x30 || byte > 0x39) break
      value = value * 10 + byte - 0x30
    }
    throw invalidArchive(this.#place, 'a sparse map holds a line that is no number')
  }

  async #byte(): Promise<number> {
    if (this.#at === this.#block.length) {
      if (this.bytes + blockBytes > this.#limit + paddingOf(this.#limit)) {
        throw invalidArchive(this.#place, 'a sparse map is longer than what is stored')
      }
      this.#block = await this.#source.read(blockBytes)
      this.bytes += blockBytes
      this.#at = 0
    }
    return this.#block[this.#at++] ?? 0
  }
}

function addOldParts(
  parts: number[],
  block: Buffer,
  start: number,
  count: number,
  place: ArchivePlace,
): void {
  for (let at = start; at < start + count * oldPartBytes; at += oldPartBytes) {
    // An unused part is all zeros or blanks: its offset is empty.
    if (block[at] === 0) return
    parts.push(oldNumber(block, at, place), oldNumber(block, at + 12, place))
  }
}

function oldNumber(block: Buffer, at: number, place: ArchivePlace): number {
  const value = findTarNumber(block.subarray(at, at + 12))
  if (value !== undefined && value >= 0) return value
  throw invalidArchive(place, 'a sparse map holds a field that is no number')
}

function checkCount(parts: readonly number[], place: ArchivePlace): void {
  if (parts.length <= 2 * maxSparseParts) return
  throw archiveLimit(place, 'parts of a sparse file', {
    expected: maxSparseParts,
    found: 'more',
  })
}
