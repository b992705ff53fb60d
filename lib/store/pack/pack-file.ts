import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { CorruptObjectError, InvalidObjectError } from '../../errors.js'
import type { Digest } from '../../object/digest.js'
import { type PackPlace, packHeaderBytes, packMagic } from './pack-format.js'
import { decodeFooter, footerBytes, type PackFooter, PackIndex } from './pack-index.js'

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
  /** Bytes of the file. */
  readonly bytes: number
  readonly index: PackIndex
  readonly #fd: number
  readonly #footer: PackFooter
  #uses = 0
  #isRetired = false

  private constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
    this.bytes = fstatSync(fd).size
    this.#checkHeader()
    this.#footer = decodeFooter(
      this.read(Math.max(0, this.bytes - footerBytes), footerBytes),
      this.bytes,
      path,
    )
    this.index = new PackIndex(this.#trailerReader(), this.#footer, path)
  }

  /** Opens a sealed pack; throws InvalidObjectError for what is none. */
  static open(path: string): PackFile {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      return new PackFile(path, fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** Where the segments end and the trailer starts. */
  get segmentsEnd(): number {
    return this.#footer.offset
  }

  /** The open file: for reading only, and valid until this object is disposed. */
  get fd(): number {
    return this.#fd
  }

  find(digest: Digest): PackPlace | undefined {
    return this.index.find(digest)
  }

  /** Reads exactly `length` bytes; throws CorruptObjectError when the file is shorter. */
  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    this.readInto(bytes, offset)
    return bytes
  }

  /** Fills a buffer from `offset` on; throws CorruptObjectError when the file is shorter. */
  readInto(bytes: Buffer, offset: number): void {
    let done = 0
    while (done < bytes.length) {
      const count = readSync(this.#fd, bytes, done, bytes.length - done, offset + done)
      if (count === 0) {
        throw new CorruptObjectError(
          `pack ${this.path} is cut off: expected ${bytes.length} bytes at ${offset}, found ${done}`,
          { path: this.path, offset, expected: bytes.length, found: done },
        )
      }
      done += count
    }
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

  #closeUnused(): void {
    if (this.#isRetired && this.#uses === 0) closeSync(this.#fd)
  }

  #checkHeader(): void {
    if (this.bytes >= packHeaderBytes + footerBytes) {
      if (this.read(0, packMagic.length).equals(packMagic)) return
    }
    throw new InvalidObjectError(
      `invalid pack ${this.path}: it does not start as a pack`,
      {
        path: this.path,
      },
    )
  }

  #trailerReader(): (offset: number, length: number) => Buffer {
    const { offset: start, bytes } = this.#footer
    if (bytes > wholeTrailerBytes)
      return (offset, length) => this.read(start + offset, length)
    const whole = this.read(start, bytes)
    this.#checkCrc(crc32(whole))
    return (offset, length) => whole.subarray(offset, offset + length)
  }

  #checkCrc(found: number): void {
    if (found !== this.#footer.crc) {
      throw new InvalidObjectError(
        `invalid pack ${this.path}: the trailer does not have its checksum`,
        { path: this.path },
      )
    }
  }
}
