import { crc32 } from 'node:zlib'
import type { Digest } from '../../object/digest.js'
import type { ObjectType } from '../../object/object-type.js'
import { DigestScratch } from './digest-scratch.js'
import type { PackCalls } from './pack-calls.js'
import {
  alignedFlag,
  alignUp,
  type Codec,
  fullPackBytes,
  fullPackObjects,
  isAligned,
  maxSegmentRecords,
  type PackPlace,
  packHeaderBytes,
  packMagic,
  type RecordFields,
  segmentBytes,
} from './pack-format.js'
import { PlaceTable } from './place-table.js'
import {
  encodeEndMark,
  encodeSegmentHead,
  RecordRows,
  segmentHeaderBytes,
} from './segment.js'

/** A payload coded for storage. */
export type CodedPayload = { readonly codec: Codec; readonly bytes: Uint8Array }

/** A payload that is written piece by piece. Offsets count from its first stored byte. */
export type LargePayload = {
  /** Where in the file its stored bytes start. */
  readonly offset: number
  /** What is never written is zeros, and takes no room on disk where the file can. */
  write(bytes: Uint8Array, offset: number): void
  /** @param crc - of the stored bytes, for a coded payload */
  finish(digest: Digest, crc?: number): void
  /** Cuts the pack back to where the payload started. */
  cancel(): void
}

/**
 * Writes one pack from front to back, by one writer, with synchronous calls.
 *
 * Payloads are gathered into segments of some 8 MiB. Nothing is durable, and the file is
 * no pack, before seal() has returned. After an error the pack must be abandoned: what
 * lies in the file is unknown.
 */
export class PackWriter {
  readonly path: string
  readonly #calls: PackCalls
  readonly #places = new PlaceTable()
  readonly #plain = new SegmentPart()
  readonly #aligned = new SegmentPart()
  #fd: number | undefined
  #end = packHeaderBytes
  #large = false

  constructor(path: string, calls: PackCalls) {
    this.path = path
    this.#calls = calls
    this.#fd = calls.create(path)
    try {
      this.#writeAt(encodePackHeader(alignedFlag), 0)
    } catch (error) {
      this.abandon()
      throw error
    }
  }

  /** Objects in the pack so far. */
  get count(): number {
    return this.#places.count
  }

  /** Bytes that the pack takes so far. */
  get bytes(): number {
    return this.#end + this.#plain.used + this.#aligned.used
  }

  /** Whether the pack is so large that the next object belongs into another one. */
  get isFull(): boolean {
    return this.bytes >= fullPackBytes || this.count >= fullPackObjects
  }

  /** Whether this pack holds an object, written out or not. */
  has(digest: Digest): boolean {
    return this.#places.has(digest)
  }

  /** What this pack holds under a digest, written out or not. */
  describe(digest: Digest): RecordFields | undefined {
    return this.#places.find(digest)
  }

  /** Where an object lies in the file; what is gathered is written out first. */
  find(digest: Digest): PackPlace | undefined {
    this.flush()
    return this.#places.find(digest)
  }

  /**
   * Lends room for a raw payload of exactly `size` bytes, to be filled and then kept.
   *
   * The room is lost with the next call of this writer, unless keep() is that call.
   */
  lend(type: ObjectType, size: number): Buffer {
    this.#makeRoom(size)
    return this.#partFor(rawRecord(type, size)).lend(size)
  }

  /** Keeps what was filled into the room lent last, unless the object is here already. */
  keep(digest: Digest, type: ObjectType, size: number): void {
    this.#keep(digest, rawRecord(type, size))
  }

  /** Adds an object whose payload is at hand, already coded, unless it is here already. */
  add(digest: Digest, type: ObjectType, size: number, coded: CodedPayload): void {
    const { codec, bytes } = coded
    const storedSize = bytes.length
    const crc = codec === 'raw' ? 0 : crc32(bytes)
    // It would stand alone in its segment: no need to gather it.
    if (storedSize > segmentBytes) {
      if (this.has(digest)) return
      const large = this.startLarge(type, size, digest, { codec, storedSize })
      large.write(bytes, 0)
      large.finish(digest, crc)
      return
    }
    this.#makeRoom(storedSize)
    const record = { type, codec, size, storedSize, crc }
    this.#partFor(record).fill(bytes)
    this.#keep(digest, record)
  }

  /**
   * Starts a payload that is written piece by piece into a segment of its own.
   *
   * Until it ends, nothing else can be added to this pack.
   *
   * @param likeDigest - any digest of the algorithm that it will have
   * @param coded - for a coded payload: how, and the bytes that it takes
   */
  startLarge(
    type: ObjectType,
    size: number,
    likeDigest: Digest,
    coded?: { readonly codec: Codec; readonly storedSize: number },
  ): LargePayload {
    this.flush()
    this.#large = true
    const record = { ...rawRecord(type, size), ...coded }
    const { storedSize } = record
    const start = this.#end
    const headBytes = headOf(likeDigest, record, 0).length
    const stands = isAligned(record)
    const at = stands ? alignUp(start + headBytes) : start + headBytes
    const end = stands ? alignUp(at + storedSize) : at + storedSize
    return {
      offset: at,
      write: (bytes, offset) => this.#writeAt(bytes, at + offset),
      finish: (digest, crc = 0) => {
        this.#large = false
        this.#writeAt(headOf(digest, { ...record, crc }, end - start - headBytes), start)
        this.#places.add(digest, record, at)
        this.#places.settle(0, 0)
        this.#end = end
      },
      cancel: () => {
        this.#large = false
        this.#calls.truncate(this.#openFd(), start)
      },
    }
  }

  /** Writes out what is gathered. */
  flush(): void {
    const plain = this.#plain
    const aligned = this.#aligned
    if (plain.rows.count + aligned.rows.count === 0) return
    const headBytes = segmentHeaderBytes + plain.rows.used + aligned.rows.used
    const plainAt = this.#end + headBytes
    const plainEnd = plainAt + plain.used
    const alignedAt = aligned.used === 0 ? plainEnd : alignUp(plainEnd)
    const end = alignedAt + aligned.used
    this.#writeAt(encodeSegmentHead([plain.rows, aligned.rows], end - plainAt), this.#end)
    this.#writeAt(plain.bytes, plainAt)
    // What lies between was never written, so it is zeros.
    this.#writeAt(aligned.bytes, alignedAt)
    this.#places.settle(plainAt, alignedAt)
    this.#end = end
    plain.clear()
    aligned.clear()
  }

  /** Writes the trailer, makes the file durable and closes it. */
  async seal(): Promise<void> {
    if (this.#large) throw new Error('a large payload is still being written')
    try {
      this.flush()
      const trailerAt = this.#end + segmentHeaderBytes
      this.#writeAt(encodeEndMark(this.count), this.#end)
      this.#writeAt(this.#places.encodeTrailer(trailerAt), trailerAt)
      await this.#calls.sync(this.#openFd())
    } finally {
      this.abandon()
    }
  }

  /** Writes out what is gathered and closes the file: a pack without end. */
  leave(): void {
    if (this.#fd === undefined) return
    if (!this.#large) this.flush()
    this.abandon()
  }

  /** Closes the file without sealing it: what was written is no pack. Harmless twice. */
  abandon(): void {
    if (this.#fd === undefined) return
    const fd = this.#fd
    this.#fd = undefined
    this.#calls.close(fd)
  }

  #keep(digest: Digest, record: RecordFields): void {
    const stands = isAligned(record)
    const part = stands ? this.#aligned : this.#plain
    if (!this.#places.add(digest, record, part.used)) return
    part.rows.add(this.#places.digest.bytes, this.#places.digest.length, record)
    if (stands) part.keepAligned(record.storedSize)
    else part.keep(record.storedSize)
  }

  #partFor(record: RecordFields): SegmentPart {
    return isAligned(record) ? this.#aligned : this.#plain
  }

  #makeRoom(size: number): void {
    if (this.#large) throw new Error('a large payload is being written')
    const bytes = this.#plain.used + this.#aligned.used
    const records = this.#plain.rows.count + this.#aligned.rows.count
    if (bytes + size > segmentBytes || records >= maxSegmentRecords) this.flush()
  }

  #openFd(): number {
    if (this.#fd === undefined) throw new Error(`the pack ${this.path} is closed`)
    return this.#fd
  }

  #writeAt(bytes: Uint8Array, position: number): void {
    const fd = this.#openFd()
    for (let done = 0; done < bytes.length; ) {
      const rest = done === 0 ? bytes : bytes.subarray(done)
      const written = this.#calls.writeAt(fd, rest, position + done)
      if (written === 0)
        throw new Error(`a write took none of ${bytes.length - done} bytes`)
      done += written
    }
  }
}

/** Encodes what stands in front of the first segment. */
export function encodePackHeader(flags: number): Buffer {
  const header = Buffer.alloc(packHeaderBytes)
  packMagic.copy(header)
  header.writeUInt32LE(flags, packMagic.length)
  return header
}

function rawRecord(type: ObjectType, size: number): RecordFields {
  return { type, codec: 'raw', size, storedSize: size, crc: 0 }
}

function headOf(digest: Digest, record: RecordFields, payloadBytes: number): Buffer {
  const scratch = new DigestScratch()
  scratch.load(digest)
  const rows = new RecordRows()
  rows.add(scratch.bytes, scratch.length, record)
  return encodeSegmentHead([rows], payloadBytes)
}

// Records and payloads gathered for one half of a segment; grows to what the largest
// segment needed.
class SegmentPart {
  readonly rows = new RecordRows()
  #buffer: Buffer = Buffer.alloc(0)
  #used = 0

  get used(): number {
    return this.#used
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used)
  }

  /** Room for a payload behind those kept. */
  lend(size: number): Buffer {
    const end = this.#used + size
    if (alignUp(end) > this.#buffer.length) this.#grow(alignUp(end))
    return this.#buffer.subarray(this.#used, end)
  }

  fill(bytes: Uint8Array): void {
    const end = this.#used + bytes.length
    if (alignUp(end) > this.#buffer.length) this.#grow(alignUp(end))
    this.#buffer.set(bytes, this.#used)
  }

  keep(size: number): void {
    this.#used += size
  }

  /** Keeps a payload with zeros up to the next unit. */
  keepAligned(size: number): void {
    const end = this.#used + size
    this.#used = alignUp(end)
    this.#buffer.fill(0, end, this.#used)
  }

  clear(): void {
    this.rows.clear()
    this.#used = 0
    // One payload beyond the usual must not claim its memory until the pack ends.
    if (this.#buffer.length > 2 * segmentBytes) this.#buffer = Buffer.alloc(0)
  }

  #grow(needed: number): void {
    // Who writes much fills a segment: growing in steps would copy it again and again.
    const usual = needed < 1024 * 1024 ? 2 * needed : segmentBytes + 4096
    const size = Math.max(needed, usual)
    const larger = Buffer.allocUnsafeSlow(size)
    this.#buffer.copy(larger, 0, 0, this.#used)
    this.#buffer = larger
  }
}
