import { InvalidObjectError } from '../errors.js'
import { type Digest, findDigestBytes } from './digest.js'

/**
 * Reads the little-endian primitives of format section 1 from a buffer.
 *
 * Every read checks the bytes that are left first and throws InvalidObjectError, which
 * names `what` and the offset. Returned buffers are views, valid as long as the input.
 */
export class ByteReader {
  readonly #bytes: Buffer
  readonly #what: string
  #offset = 0

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#what = what
  }

  get offset(): number {
    return this.#offset
  }

  get left(): number {
    return this.#bytes.length - this.#offset
  }

  /** Reads a u64 that must be a safe integer, as object sizes are. */
  size(field: string): number {
    const value = this.u64(field)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw this.invalid(`${field} is beyond 2^53-1: found ${value}`)
    }
    return Number(value)
  }

  u8(field: string): number {
    return this.#bytes.readUInt8(this.#take(1, field))
  }

  u16(field: string): number {
    return this.#bytes.readUInt16LE(this.#take(2, field))
  }

  u32(field: string): number {
    return this.#bytes.readUInt32LE(this.#take(4, field))
  }

  u64(field: string): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8, field))
  }

  bytes(length: number, field: string): Buffer {
    const start = this.#take(length, field)
    return this.#bytes.subarray(start, start + length)
  }

  /** Reads length-prefixed bytes: u16 length, then the bytes. */
  prefixed(field: string): Buffer {
    return this.bytes(this.u16(field), field)
  }

  /** Reads a length-prefixed digest; an empty one is an error. */
  digest(field: string): Digest {
    return this.#parseDigest(this.prefixed(field), field)
  }

  /** Reads a length-prefixed digest; undefined for the empty one ("no digest"). */
  optionalDigest(field: string): Digest | undefined {
    const bytes = this.prefixed(field)
    return bytes.length === 0 ? undefined : this.#parseDigest(bytes, field)
  }

  /** Throws unless every byte has been read. */
  end(): void {
    if (this.left > 0)
      throw this.invalid(`expected the end, found ${this.left} more bytes`)
  }

  /** Makes the error for a rule that the bytes at the present offset break. */
  invalid(problem: string): InvalidObjectError {
    return new InvalidObjectError(
      `invalid ${this.#what} at byte ${this.#offset}: ${problem}`,
      { what: this.#what, offset: this.#offset },
    )
  }

  #parseDigest(bytes: Buffer, field: string): Digest {
    const digest = findDigestBytes(bytes)
    if (digest === undefined) {
      const found = `${bytes.length} bytes starting ${bytes.subarray(0, 8).toString('hex')}`
      throw this.invalid(`${field} is no digest of a known algorithm: found ${found}`)
    }
    return digest
  }

  #take(length: number, field: string): number {
    const start = this.#offset
    if (length > this.left) {
      throw this.invalid(`${field} takes ${length} bytes, found ${this.left}`)
    }
    this.#offset = start + length
    return start
  }
}
