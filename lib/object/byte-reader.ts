import { InvalidObjectError } from '../errors.js'
import { type Digest, findDigestAt } from './digest.js'

/**
 * Reads the little-endian primitives of format section 1 from a buffer.
 *
 * Every read checks the bytes that are left first and throws InvalidObjectError, which
 * names `what` and the offset. Returned buffers are views, valid as long as the input.
 */
export class ByteReader {
  readonly #bytes: Buffer
  readonly #view: DataView
  readonly #what: string
  #offset = 0

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
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
    const start = this.#take(8, field)
    const high = this.#view.getUint32(start + 4, true)
    const value = high * 0x1_0000_0000 + this.#view.getUint32(start, true)
    if (high > 0x1f_ffff) {
      this.#offset = start
      throw this.invalid(`${field} is beyond 2^53-1: found ${this.u64(field)}`)
    }
    return value
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field))
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field), true)
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true)
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), true)
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
    return this.#digest(this.u16(field), field)
  }

  /** Reads a length-prefixed digest; undefined for the empty one ("no digest"). */
  optionalDigest(field: string): Digest | undefined {
    const length = this.u16(field)
    return length === 0 ? undefined : this.#digest(length, field)
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

  #digest(length: number, field: string): Digest {
    const start = this.#take(length, field)
    const digest = findDigestAt(this.#bytes, start, start + length)
    if (digest === undefined) {
      this.#offset = start
      const shown = this.#bytes.toString('hex', start, start + Math.min(length, 8))
      throw this.invalid(
        `${field} is no digest of a known algorithm: found ${length} bytes starting "${shown}"`,
      )
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
