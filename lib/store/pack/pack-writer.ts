import { crc32 } from 'node:zlib'
import { type Digest, digestBytes } from '../../object/digest.js'
import type { ObjectType } from '../../object/object-type.js'
import type { PackCalls } from './pack-calls.js'
import {
  alignedFlag,
  alignUp,
  type Codec,
  isAligned,
  maxSegmentRecords,
  type PackPlace,
  packHeaderBytes,
  packMagic,
  segmentBytes,
} from './pack-format.js'
import { PlaceTable } from './place-table.js'
import {
  encodeSegmentHead,
  type RecordFields,
  RecordRows,
  segmentHeaderBytes,
} from './segment.js'

/** A payload coded for storage. */
export type CodedPayload = { readonly codec: Codec; readonly bytes: Uint8Array }

/**
 * Writes one pack from front to back, by one writer, with synchronous calls.
 *
 * Payloads are gathered into segments of some 8 MiB. Nothing is durable, and the file is
 * no pack, before seal() has returned.
 */
export class PackWriter {
  readonly path: string
  readonly #calls: PackCalls
  readonly #fd: number
  readonly #places = new PlaceTable()
  readonly #plain = new SegmentPart()
  readonly #aligned = new SegmentPart()
  #end = packHeaderBytes
  #large = false

  constructor(path: string, calls: PackCalls) {
    this.path = path
    this.#calls = calls
    this.#fd = calls.create(path)
    const header = Buffer.alloc(packHeaderBytes)
    packMagic.copy(header)
    header.writeUInt32LE(alignedFlag, packMagic.length)
    this.#writeAt(header, 0)
  }

  /** Objects in the pack so far. */
  get count(): number {
    return this.#places.count
  }

  /** Bytes that the pack takes so far. */
  get bytes(): number {
    return this.#end + this.#plain.used + this.#aligned.used
  }

  /** Whether this pack holds an object, written out or not. */
  has(digest: Digest): boolean {
    return this.#places.has(digestBytes(digest))
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
    this.#keep(digestBytes(digest), rawRecord(type, size))
  }

  /** Adds an object whose payload is at hand, already coded, unless it is here already. */
  add(digest: Digest, type: ObjectType, size: number, coded: CodedPayload): void {
    const { codec, bytes } = coded
    this.#makeRoom(bytes.length)
    const crc = codec === 'raw' ? 0 : crc32(bytes)
    const record = { type, codec, size, storedSize: bytes.length, crc }
    this.#partFor(record).lend(bytes.length).set(bytes)
    this.#keep(digestBytes(digest), record)
  }

  /**
   * Starts a raw payload that is written piece by piece into a segment of its own.
   *
   * Until it ends, nothing else can be added to this pack.
   *
   * @param likeDigest - any digest of the algorithm that it will have
   */
  startLarge(type: ObjectType, size: number, likeDigest: Digest): LargePayload {
    this.flush()
    this.#large = true
    const record = rawRecord(type, size)
    const start = this.#end
    const headBytes = headOf(digestBytes(likeDigest), record, 0).length
    const at = isAligned(record) ? alignUp(start + headBytes) : start + headBytes
    const end = isAligned(record) ? alignUp(at + size) : at + size
    return {
      write: (bytes, offset) => this.#writeAt(bytes, at + offset),
      finish: digest => {
        this.#large = false
        const bytes = digestBytes(digest)
        this.#writeAt(headOf(bytes, record, end - start - headBytes), start)
        this.#writeAt(Buffer.alloc(end - at - size), at + size)
        this.#places.add(bytes, { ...record, offset: at })
        this.#places.settle(offset => offset)
        this.#end = end
      },
      cancel: () => {
        this.#large = false
        this.#calls.truncate(this.#fd, start)
      },
    }
  }

  /** Writes out what is gathered. */
  flush(): void {
    const rows = [this.#plain.rows, this.#aligned.rows]
    if (rows.every(({ count }) => count === 0)) return
    const headBytes = rows.reduce(
      (sum, { bytes }) => sum + bytes.length,
      segmentHeaderBytes,
    )
    const plainAt = this.#end + headBytes
    const plainEnd = plainAt + this.#plain.used
    const alignedAt = this.#aligned.used === 0 ? plainEnd : alignUp(plainEnd)
    const end = alignedAt + this.#aligned.used
    this.#writeAt(encodeSegmentHead(rows, end - plainAt), this.#end)
    this.#writeAt(this.#plain.bytes, plainAt)
    this.#writeAt(Buffer.alloc(alignedAt - plainEnd), plainEnd)
    this.#writeAt(this.#aligned.bytes, alignedAt)
    this.#places.settle((offset, aligned) => offset + (aligned ? alignedAt : plainAt))
    this.#end = end
    this.#plain.clear()
    this.#aligned.clear()
  }

  /** Writes the trailer, makes the file durable and closes it. */
  async seal(): Promise<void> {
    if (this.#large) throw new Error('a large payload is still being written')
    this.flush()
    this.#writeAt(this.#places.encodeTrailer(this.#end), this.#end)
    try {
      await this.#calls.sync(this.#fd)
    } finally {
      this.#calls.close(this.#fd)
    }
  }

  /** Closes the file without sealing it: what was written is no pack. */
  abandon(): void {
    this.#calls.close(this.#fd)
  }

  #keep(digest: Buffer, record: RecordFields): void {
    const part = this.#partFor(record)
    if (!this.#places.add(digest, { ...record, offset: part.used })) return
    part.rows.add(digest, record)
    part.keep(isAligned(record) ? alignUp(record.storedSize) : record.storedSize)
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

  #writeAt(bytes: Uint8Array, position: number): void {
    let done = 0
    while (done < bytes.length) {
      const written = this.#calls.writeAt(this.#fd, bytes.subarray(done), position + done)
      if (written === 0)
        throw new Error(`a write took none of ${bytes.length - done} bytes`)
      done += written
    }
  }
}

/** A payload that is written piece by piece. Offsets count from its first byte. */
export type LargePayload = {
  write(bytes: Uint8Array, offset: number): void
  finish(digest: Digest): void
  cancel(): void
}

function rawRecord(type: ObjectType, size: number): RecordFields {
  return { type, codec: 'raw', size, storedSize: size, crc: 0 }
}

function headOf(digest: Buffer, record: RecordFields, payloadBytes: number): Buffer {
  const rows = new RecordRows()
  rows.add(digest, record)
  return encodeSegmentHead([rows], payloadBytes)
}

// Records and payloads gathered for one half of a segment; grows to what the largest
// segment needed.
class SegmentPart {
  readonly rows = new RecordRows()
  #buffer = Buffer.alloc(0)
  #used = 0

  get used(): number {
    return this.#used
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used)
  }

  lend(size: number): Buffer {
    const end = this.#used + size
    const needed = alignUp(end)
    if (needed > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(needed, Math.min(2 * needed, segmentBytes)))
      this.#buffer.copy(larger, 0, 0, this.#used)
      this.#buffer = larger
    }
    // What a payload leaves of its last unit must be zero.
    this.#buffer.fill(0, end, needed)
    return this.#buffer.subarray(this.#used, end)
  }

  keep(size: number): void {
    this.#used += size
  }

  clear(): void {
    this.rows.clear()
    this.#used = 0
  }
}
