import { NotRepresentableError } from '../errors.js'
import type { Digest } from './digest.js'

/**
 * Appends the little-endian primitives of format section 1 to a growing buffer.
 *
 * A value beyond its field throws NotRepresentableError instead of being cut.
 */
export class ByteWriter {
  #bytes: Buffer
  #view: DataView
  #length = 0

  constructor(estimate = 256) {
    this.#bytes = Buffer.allocUnsafe(estimate)
    this.#view = viewOf(this.#bytes)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    const start = this.#reserve(1)
    this.#view.setUint8(start, value)
    this.#length = start + 1
    return this
  }

  u16(value: number): this {
    const start = this.#reserve(2)
    this.#view.setUint16(start, value, true)
    this.#length = start + 2
    return this
  }

  u32(value: number, field: string): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
      throw tooLarge(field, value, 32)
    }
    const start = this.#reserve(4)
    this.#view.setUint32(start, value, true)
    this.#length = start + 4
    return this
  }

  u64(value: bigint, field: string): this {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw tooLarge(field, value, 64)
    const start = this.#reserve(8)
    this.#view.setBigUint64(start, value, true)
    this.#length = start + 8
    return this
  }

  /** Writes an object size as u64. */
  size(value: number, field: string): this {
    if (!Number.isSafeInteger(value) || value < 0) throw tooLarge(field, value, 53)
    const start = this.#reserve(8)
    this.#view.setUint32(start, value % 0x1_0000_0000, true)
    this.#view.setUint32(start + 4, Math.floor(value / 0x1_0000_0000), true)
    this.#length += 8
    return this
  }

  bytes(value: Uint8Array): this {
    const start = this.#reserve(value.length)
    this.#bytes.set(value, start)
    this.#length = start + value.length
    return this
  }

  /** Writes length-prefixed bytes: u16 length, then the bytes. */
  prefixed(value: Uint8Array, field: string): this {
    if (value.length > 0xffff) {
      throw new NotRepresentableError(
        `${field} is too long: expected at most 65535 bytes, found ${value.length}`,
        { field, found: value.length },
      )
    }
    return this.u16(value.length).bytes(value)
  }

  /** Writes a length-prefixed digest, or the empty one. */
  digest(value: Digest | undefined): this {
    if (value === undefined) return this.u16(0)
    const length = value.length / 2
    this.u16(length)
    const start = this.#reserve(length)
    this.#bytes.write(value, start, 'hex')
    this.#length = start + length
    return this
  }

  /** The bytes written so far: a view that the next write may move away from. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(length: number): number {
    const needed = this.#length + length
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
      this.#bytes.copy(larger, 0, 0, this.#length)
      this.#bytes = larger
      this.#view = viewOf(larger)
    }
    return this.#length
  }
}

function tooLarge(field: string, value: number | bigint, bits: number) {
  return new NotRepresentableError(
    `${field} does not fit: expected an unsigned ${bits}-bit number, found ${value}`,
    { field, found: String(value) },
  )
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
