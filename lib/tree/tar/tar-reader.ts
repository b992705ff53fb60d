import { type ArchivePlace, archiveLimit, invalidArchive } from './archive-error.js'
import type { ByteSource } from './byte-source.js'
import type { ExpansionLimit } from './expansion-limit.js'
import { MemberContent } from './member-content.js'
import { describeMember } from './member-entry.js'
import { decodePaxHeader, type LostFact, noPax, type PaxHeader } from './pax-header.js'
import {
  checkSparseMap,
  readOldSparseMap,
  readSparseLines,
  type SparseMap,
} from './sparse-map.js'
import type { TarEntry } from './tar-entry.js'
import { blockBytes, maxPathBytes, maxPaxBytes, paddingOf } from './tar-format.js'
import { decodeTarHeader, isZeroBlock, type TarHeader } from './tar-header.js'

/** One entry of an archive that is being read. */
export type TarMember = {
  /** Bytes in front of its first header. */
  readonly offset: number
  readonly entry: TarEntry
  /** Good until the next member is asked for. */
  readonly content: MemberContent
  /** What the archive says of it that no tree can hold. */
  readonly lost: readonly LostFact[]
}

// Headers that stand in front of the header of an entry.
type Extended = { pax?: PaxHeader; path?: Buffer; target?: Buffer }

/**
 * Reads a tar archive entry by entry: ustar, PAX, GNU and version 7 headers, sparse files
 * of every GNU kind.
 *
 * It is strict: what two readers could understand differently is refused. Throws
 * InvalidArchiveError with the entry, the offset, and what was expected and found, and
 * LimitExceededError. Memory stays at one extended header and one sparse map.
 */
export class TarReader {
  readonly #source: ByteSource
  readonly #limit: ExpansionLimit
  #global: PaxHeader = noPax
  #content: MemberContent | undefined

  constructor(source: ByteSource, limit: ExpansionLimit) {
    this.#source = source
    this.#limit = limit
  }

  /** The next entry; passes over what was not read of the one before. */
  async next(): Promise<TarMember | undefined> {
    await this.#content?.finish()
    this.#content = undefined
    const extended: Extended = {}
    const offset = this.#source.offset
    for (;;) {
      const place = { offset: this.#source.offset }
      const block = this.#source.take(blockBytes) ?? (await this.#readBlock(place))
      if (isZeroBlock(block)) {
        await this.#end(extended, place)
        return undefined
      }
      const header = decodeTarHeader(block, place)
      if (await this.#extend(extended, header, place)) continue
      return await this.#member(extended, header, offset)
    }
  }

  async #readBlock(place: ArchivePlace): Promise<Buffer> {
    const block = await this.#source.find(blockBytes)
    if (block !== undefined) return block
    throw invalidArchive(place, 'it is cut off', {
      expected: 'an entry, or two blocks of zeros',
      found: 'the end of the file',
    })
  }

  // One block of zeros ends it; behind that there must be nothing.
  async #end(extended: Extended, place: ArchivePlace): Promise<void> {
    if (Object.keys(extended).length > 0) {
      throw invalidArchive(place, 'an extended header stands in front of no entry')
    }
    for (;;) {
      const offset = this.#source.offset
      const piece = await this.#source.some(65_536)
      if (piece === undefined) return
      const at = piece.findIndex(byte => byte !== 0)
      if (at >= 0) {
        throw invalidArchive({ offset: offset + at }, 'bytes behind its end', {
          expected: 'zeros',
          found: piece[at] ?? 0,
        })
      }
    }
  }

  // True for a header that only says something of what follows.
  async #extend(
    extended: Extended,
    header: TarHeader,
    place: ArchivePlace,
  ): Promise<boolean> {
    switch (header.type) {
      case 'x': {
        if (extended.pax !== undefined) {
          throw invalidArchive(place, 'two extended headers for one entry')
        }
        const bytes = await this.#text(header, place, maxPaxBytes)
        extended.pax = decodePaxHeader(bytes, place, 'entry')
        return true
      }
      case 'g': {
        const bytes = await this.#text(header, place, maxPaxBytes)
        this.#global = { ...this.#global, ...decodePaxHeader(bytes, place, 'global') }
        return true
      }
      case 'L':
        if (extended.path !== undefined) throw invalidArchive(place, 'two long names')
        extended.path = await this.#longText(header, place)
        return true
      case 'K':
        if (extended.target !== undefined) {
          throw invalidArchive(place, 'two long link targets')
        }
        extended.target = await this.#longText(header, place)
        return true
      case 'V':
        // A label of the volume, which is no entry.
        await this.#source.skip(header.size + paddingOf(header.size))
        return true
      default:
        return false
    }
  }

  async #longText(header: TarHeader, place: ArchivePlace): Promise<Buffer> {
    const text = await this.#text(header, place, maxPathBytes + 1)
    const end = text.indexOf(0)
    if (end < 0) return Buffer.from(text)
    if (text.subarray(end).some(byte => byte !== 0)) {
      throw invalidArchive(place, 'a long name holds a NUL byte')
    }
    return Buffer.from(text.subarray(0, end))
  }

  async #text(header: TarHeader, place: ArchivePlace, most: number): Promise<Buffer> {
    const { size } = header
    if (size > most) {
      throw archiveLimit(place, 'bytes of an extended header', {
        expected: most,
        found: size,
      })
    }
    const bytes = await this.#source.read(size)
    await this.#source.skip(paddingOf(size))
    return bytes
  }

  async #member(
    extended: Extended,
    header: TarHeader,
    offset: number,
  ): Promise<TarMember> {
    const pax =
      extended.pax === undefined ? this.#global : { ...this.#global, ...extended.pax }
    const path = pax.sparse.name ?? pax.path ?? extended.path ?? header.path
    const target = pax.target ?? extended.target ?? header.target
    const place = { offset, path }
    const stored = pax.size ?? header.size
    const sparse = await this.#sparseMap(header, pax, stored, place)
    const size = sparse?.map.size ?? stored
    const entry = describeMember({ header, pax, path, target, size, place })
    if (sparse !== undefined && entry.kind !== 'regular') {
      throw invalidArchive(place, `a ${entry.kind} with a sparse map`)
    }
    const storedHere = stored - (sparse?.before ?? 0)
    this.#content = new MemberContent(this.#source, this.#limit, {
      stored: storedHere,
      padding: paddingOf(stored),
      map: sparse?.map,
    })
    return { offset, entry, content: this.#content, lost: pax.lost }
  }

  async #sparseMap(
    header: TarHeader,
    { sparse }: PaxHeader,
    stored: number,
    place: ArchivePlace,
  ): Promise<{ readonly map: SparseMap; readonly before: number } | undefined> {
    if (header.type === 'S') {
      const map = await readOldSparseMap(header.block, this.#source, place)
      return { map: checkSparseMap(map, stored, place), before: 0 }
    }
    if (sparse.major !== undefined || sparse.minor !== undefined) {
      const { major = 0, minor = 0, realSize } = sparse
      if (major === 1 && minor === 0 && realSize !== undefined) {
        const { parts, bytes } = await readSparseLines(this.#source, stored, place)
        const map = { size: realSize, parts }
        return { map: checkSparseMap(map, stored - bytes, place), before: bytes }
      }
      if (major !== 0 || minor > 1) {
        throw invalidArchive(place, 'unknown version of a sparse file', {
          expected: '0.0, 0.1 or 1.0 with its size',
          found: `${major}.${minor}`,
        })
      }
    }
    if (sparse.map === undefined && sparse.realSize === undefined) return undefined
    if (sparse.realSize === undefined) {
      throw invalidArchive(place, 'a sparse map without the size of its file')
    }
    const map = { size: sparse.realSize, parts: sparse.map ?? [] }
    return { map: checkSparseMap(map, stored, place), before: 0 }
  }
}
