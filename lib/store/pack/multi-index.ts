import { closeSync, fstatSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { InvalidObjectError } from '../../errors.js'
import { type Digest, digestBytes } from '../../object/digest.js'
import type { PackPlace } from './pack-format.js'
import {
  decodeFooter,
  footerBytes,
  type PackFooter,
  readRow,
  roomFor,
  rowBytes,
  SortedTables,
} from './pack-index.js'
import { openPackPart } from './pack-part.js'

/*
 * The merged index of many packs: derived from their trailers, replaced by rename.
 *
 *   header: 8 bytes magic, u32 pack count, u32 bytes of the names
 *   names:  per pack, ascending: u16 length, file name
 *   tables: as in a trailer (pack-index.ts), but an object that lies in several packs has
 *           a row for each, and rows have 24 bytes: those of a trailer, then u32 number of
 *           the pack among the names
 *   footer: as in a trailer, with a magic of its own; its CRC-32 counts header, names and
 *           tables
 */

/** File name of the merged index among the packs. */
export const multiName = 'multi'

/** First bytes of a merged index. */
export const multiMagic = Buffer.from('cairnmx1')

/** Last bytes of a merged index. */
export const multiEndMagic = Buffer.from('cairnme1')

/** Bytes in front of the names. */
export const multiHeaderBytes = 16

/** Bytes of one row. */
export const multiRowBytes = rowBytes + 4

/** Packs that one merged index can cover. */
export const maxMultiPacks = 65_536

/** Where one merged index says that an object lies. */
export type MultiPlace = { readonly pack: string; readonly place: PackPlace }

/** A merged index, open for look-ups; a look-up costs two short reads. */
export class MultiIndex implements Disposable {
  readonly path: string
  /** Tells this file from one that replaced it. */
  readonly identity: string
  /** File names of the packs that it covers, ascending. */
  readonly packs: readonly string[]
  readonly #fd: number
  readonly #bytes: number
  readonly #footer: PackFooter
  /** Its rows: those of the packs, with the pack's number behind each. */
  readonly tables: SortedTables
  /** Bytes of one row. */
  readonly rowBytes = multiRowBytes
  #isClosed = false

  private constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
    const stat = fstatSync(fd)
    this.#bytes = stat.size
    this.identity = identityOf(stat)
    if (stat.size < multiHeaderBytes + footerBytes) {
      throw this.#invalid('it is too small')
    }
    this.#footer = decodeFooter(
      this.#read(stat.size - footerBytes, footerBytes),
      stat.size,
      {
        where: path,
        magic: multiEndMagic,
      },
    )
    this.packs = this.#readNames()
    const start = this.#footer.offset
    this.tables = new SortedTables(
      (offset, length, room) => this.#read(start + offset, length, room),
      this.#footer,
      multiRowBytes,
      path,
    )
  }

  /** Opens a merged index; throws InvalidObjectError for what is none. */
  static open(path: string): MultiIndex {
    const fd = openPackPart(path, 'merged index')
    try {
      return new MultiIndex(path, fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** Objects, counted once for each pack that holds them. */
  get count(): number {
    return this.tables.count
  }

  /** Everywhere that an object lies; packs may be gone by now. */
  find(digest: Digest, binary: Buffer = digestBytes(digest)): MultiPlace[] {
    const rows = this.tables.find(binary)
    if (rows === undefined) return []
    const places: MultiPlace[] = []
    for (let at = 0; at < rows.length; at += multiRowBytes) {
      const pack = this.packs[rows.readUInt32LE(at + rowBytes)]
      if (pack === undefined) throw this.#invalid(`${digest} lies in no named pack`)
      places.push({ pack, place: readRow(rows, at, digest) })
    }
    return places
  }

  /** Holds all of the file against its checksum; throws InvalidObjectError. */
  check(): void {
    let crc = 0
    const piece = 1024 * 1024
    const end = this.#bytes - footerBytes
    for (let offset = 0; offset < end; offset += piece) {
      crc = crc32(this.#read(offset, Math.min(piece, end - offset)), crc)
    }
    if (crc !== this.#footer.crc) throw this.#invalid('it does not have its checksum')
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.#fd)
  }

  #readNames(): string[] {
    const header = this.#read(0, multiHeaderBytes)
    const count = header.readUInt32LE(8)
    const bytes = header.readUInt32LE(12)
    if (
      !header.subarray(0, 8).equals(multiMagic) ||
      count > maxMultiPacks ||
      multiHeaderBytes + bytes !== this.#footer.offset
    ) {
      throw this.#invalid('it does not start as a merged index')
    }
    const encoded = this.#read(multiHeaderBytes, bytes)
    const names: string[] = []
    let at = 0
    for (let index = 0; index < count; index++) {
      const end = at + 2 + (at + 2 <= bytes ? encoded.readUInt16LE(at) : 0)
      if (at + 2 > bytes || end > bytes) throw this.#invalid('its names are cut off')
      names.push(encoded.toString('latin1', at + 2, end))
      at = end
    }
    if (at !== bytes) throw this.#invalid('its names are longer than they say')
    return names
  }

  #read(offset: number, length: number, room?: Buffer): Buffer {
    if (this.#isClosed) throw new Error('the merged index is closed')
    const bytes = roomFor(length, room)
    let done = 0
    while (done < length) {
      const count = readSync(this.#fd, bytes, done, length - done, offset + done)
      if (count === 0) throw this.#invalid('it is cut off')
      done += count
    }
    return bytes
  }

  #invalid(problem: string): InvalidObjectError {
    return new InvalidObjectError(`invalid merged index ${this.path}: ${problem}`, {
      path: this.path,
    })
  }
}

/** What tells a file from another one of the same name. */
export function identityOf(stat: { ino: number; mtimeMs: number; size: number }): string {
  return `${stat.ino} ${stat.mtimeMs} ${stat.size}`
}
