import { closeSync, fstatSync, readSync } from 'node:fs'
import { basename } from 'node:path'
import { crc32 } from 'node:zlib'
import { CorruptObjectError, InvalidObjectError } from '../../errors.js'
import { type Digest, digestBytes } from '../../object/digest.js'
import { alignedFlag, type PackPlace, packHeaderBytes, packMagic } from './pack-format.js'
import {
  decodeFooter,
  footerBytes,
  type PackFooter,
  PackIndex,
  readRow,
  roomFor,
  type TrailerReader,
} from './pack-index.js'
import { openPackPart } from './pack-part.js'
import { areCodedSizes, decodeSegmentHeader, segmentHeaderBytes } from './segment.js'

// A trailer up to this size is read whole and held against its checksum when opened.
const wholeTrailerBytes = 4 * 1024 * 1024

/**
 * A sealed pack, open for reading.
 *
 * Whoever reads over several calls takes a use() of it: a pack that was removed meanwhile
 * is closed when the last use of it has ended.
 */
export class PackFile {
  readonly path: string
  /** Bytes of the file when it was opened. */
  readonly bytes: number
  /** Tells this file from one that replaced it. */
  readonly inode: number
  readonly index: PackIndex
  /** Whether payloads of large raw files are aligned and filled up. */
  readonly isAligned: boolean
  readonly #fd: number
  readonly #footer: PackFooter
  #uses = 0
  #isRetired = false

  private constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
    const { size, ino } = fstatSync(fd)
    this.bytes = size
    this.inode = ino
    this.isAligned = this.#readFlags() === alignedFlag
    this.#footer = decodeFooter(
      this.read(this.bytes - footerBytes, footerBytes),
      this.bytes,
      { where: path },
    )
    if (this.#footer.offset < packHeaderBytes + segmentHeaderBytes) {
      throw this.#invalid('the trailer stands where segments should')
    }
    this.index = new PackIndex(this.#trailerReader(), this.#footer, path)
    this.#checkEndMark()
  }

  /** Opens a sealed pack; throws InvalidObjectError for what is none. */
  static open(path: string): PackFile {
    const fd = openPackPart(path, 'pack')
    try {
      return new PackFile(path, fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** The file name. */
  get name(): string {
    return basename(this.path)
  }

  /** Where the last segment ends: the end mark stands there, then the trailer. */
  get segmentsEnd(): number {
    return this.#footer.offset - segmentHeaderBytes
  }

  /** The open file: for reading only, and valid until this object is disposed. */
  get fd(): number {
    return this.#fd
  }

  /** Whether the file has the size that it was sealed with. */
  get isWhole(): boolean {
    return fstatSync(this.#fd).size === this.bytes
  }

  find(digest: Digest): PackPlace | undefined {
    return this.findBinary(digest, digestBytes(digest))
  }

  /** As find, for a caller that asks several packs. */
  findBinary(digest: Digest, binary: Buffer): PackPlace | undefined {
    const row = this.index.find(binary)
    return row && this.checkPlace(readRow(row, 0, digest))
  }

  /** Throws CorruptObjectError for a place outside of this pack's segments. */
  checkPlace(place: PackPlace): PackPlace {
    const { offset, storedSize, size, codec, digest } = place
    const isInside =
      offset > packHeaderBytes + segmentHeaderBytes &&
      offset + storedSize <= this.segmentsEnd
    const fits = codec === 'raw' ? size === storedSize : areCodedSizes(size, storedSize)
    if (isInside && fits) return place
    throw new CorruptObjectError(
      `pack ${this.path} has an impossible place for ${digest}: ${storedSize} bytes at ${offset}`,
      { digest, path: this.path },
    )
  }

  /** Reads stored bytes of an object; offsets count from its first one. */
  readPlace(place: PackPlace, offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length)
    const found = this.#fill(bytes, place.offset + offset)
    if (found === length) return bytes
    const { digest } = place
    throw new CorruptObjectError(
      `object ${digest} is corrupt: pack ${this.path} is cut off`,
      { digest, path: this.path, expected: length, found },
    )
  }

  /** Reads exactly `length` bytes; throws CorruptObjectError when the file is shorter. */
  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length)
    this.readInto(bytes, offset)
    return bytes
  }

  /** Fills a buffer from `offset` on; throws CorruptObjectError when the file is shorter. */
  readInto(bytes: Buffer, offset: number): void {
    const found = this.#fill(bytes, offset)
    if (found === bytes.length) return
    throw new CorruptObjectError(
      `pack ${this.path} is cut off: expected ${bytes.length} bytes at ${offset}, found ${found}`,
      { path: this.path, offset, expected: bytes.length, found },
    )
  }

  /** Holds the whole trailer against its checksum; throws InvalidObjectError. */
  checkTrailer(): void {
    let crc = 0
    const piece = 1024 * 1024
    for (let offset = 0; offset < this.#footer.bytes; offset += piece) {
      const length = Math.min(piece, this.#footer.bytes - offset)
      crc = crc32(this.read(this.#footer.offset + offset, length), crc)
    }
    this.#checkCrc(crc)
  }

  /** Keeps the file open until what is returned is disposed. */
  use(): Disposable {
    if (this.#isRetired) throw new Error(`the pack ${this.path} is closed`)
    this.#uses += 1
    let isUsed = true
    return {
      [Symbol.dispose]: () => {
        if (!isUsed) return
        isUsed = false
        this.#uses -= 1
        this.#closeUnused()
      },
    }
  }

  /** Closes the file as soon as nobody uses it. */
  retire(): void {
    if (this.#isRetired) return
    this.#isRetired = true
    this.#closeUnused()
  }

  #fill(bytes: Buffer, offset: number): number {
    // A closed number may be another file's by now.
    if (this.#isRetired && this.#uses === 0) {
      throw new Error(`the pack ${this.path} is closed`)
    }
    let done = 0
    while (done < bytes.length) {
      const count = readSync(this.#fd, bytes, done, bytes.length - done, offset + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  #closeUnused(): void {
    if (this.#isRetired && this.#uses === 0) closeSync(this.#fd)
  }

  #readFlags(): number {
    const least = packHeaderBytes + segmentHeaderBytes + footerBytes
    if (this.bytes < least) {
      throw this.#invalid('it is too small')
    }
    const header = this.read(0, packHeaderBytes)
    if (!header.subarray(0, packMagic.length).equals(packMagic)) {
      throw this.#invalid('it does not start as a pack')
    }
    const flags = header.readUInt32LE(8)
    if (flags > alignedFlag || header.readUInt32LE(12) !== 0) {
      throw this.#invalid(`unknown flags ${flags}`)
    }
    return flags
  }

  #checkEndMark(): void {
    const mark = decodeSegmentHeader(
      this.read(this.segmentsEnd, segmentHeaderBytes),
      this.path,
    )
    if (mark.kind === 'end' && mark.total === this.index.count) return
    throw this.#invalid('no end mark in front of the trailer')
  }

  #trailerReader(): TrailerReader {
    const { offset: start, bytes } = this.#footer
    if (bytes > wholeTrailerBytes) {
      return (offset, length, room) => {
        const part = roomFor(length, room)
        this.readInto(part, start + offset)
        return part
      }
    }
    const whole = this.read(start, bytes)
    this.#checkCrc(crc32(whole))
    return (offset, length) => whole.subarray(offset, offset + length)
  }

  #checkCrc(found: number): void {
    if (found !== this.#footer.crc)
      throw this.#invalid('the trailer does not have its checksum')
  }

  #invalid(problem: string): InvalidObjectError {
    return new InvalidObjectError(`invalid pack ${this.path}: ${problem}`, {
      path: this.path,
    })
  }
}
