import { InvalidObjectError, NotRepresentableError } from '../errors.js'

/** A modification time: whole seconds since 1970-01-01 UTC, and nanoseconds 0 to 999999999. */
export type ModificationTime = { readonly seconds: bigint; readonly nanoseconds: number }

const second = 1_000_000_000n

/** The time that is so many nanoseconds after 1970-01-01 UTC, or before. */
export function timeOfNanoseconds(nanoseconds: bigint): ModificationTime {
  const rest = ((nanoseconds % second) + second) % second
  return { seconds: (nanoseconds - rest) / second, nanoseconds: Number(rest) }
}

const minSeconds = -(2n ** 63n)
const maxSeconds = 2n ** 63n - 1n

/**
 * Collects modification times in walk order (docs/format.md, extension key 5).
 *
 * Per entry: zigzag varint of the seconds minus those of the entry before (the first
 * minus 0), then varint of the nanoseconds. Varints are LEB128, least group first.
 */
export class ModificationTimesEncoder {
  #bytes = Buffer.allocUnsafe(4096)
  #length = 0
  #before = 0n

  /** Throws NotRepresentableError for a time beyond 64 bits of seconds. */
  add(time: ModificationTime): void {
    const { seconds, nanoseconds } = time
    if (seconds < minSeconds || seconds > maxSeconds || !isNanoseconds(nanoseconds)) {
      throw new NotRepresentableError(
        `a modification time does not fit: ${seconds} s and ${nanoseconds} ns`,
        { seconds: String(seconds), nanoseconds },
      )
    }
    if (this.#length + 32 > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.allocUnsafe(this.#bytes.length)])
    }
    const delta = seconds - this.#before
    this.#before = seconds
    this.#varint(delta >= 0n ? delta * 2n : -delta * 2n - 1n)
    this.#varint(BigInt(nanoseconds))
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length))
  }

  #varint(value: bigint): void {
    let left = value
    while (left > 0x7fn) {
      this.#bytes[this.#length++] = Number(left & 0x7fn) | 0x80
      left >>= 7n
    }
    this.#bytes[this.#length++] = Number(left)
  }
}

function isNanoseconds(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 999_999_999
}

/** Reads modification times in walk order; throws InvalidObjectError. */
export class ModificationTimesDecoder {
  readonly #bytes: Uint8Array
  #offset = 0
  #before = 0n

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  next(): ModificationTime {
    const zigzag = this.#varint()
    const delta = zigzag % 2n === 0n ? zigzag / 2n : -(zigzag + 1n) / 2n
    const seconds = this.#before + delta
    if (seconds < minSeconds || seconds > maxSeconds) {
      throw this.#invalid(`${seconds} seconds are beyond 64 bits`)
    }
    this.#before = seconds
    const nanoseconds = this.#varint()
    if (nanoseconds > 999_999_999n) throw this.#invalid(`${nanoseconds} nanoseconds`)
    return { seconds, nanoseconds: Number(nanoseconds) }
  }

  /** Throws unless every time has been read. */
  end(): void {
    if (this.#offset < this.#bytes.length) throw this.#invalid('more times than entries')
  }

  #varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#offset]
      if (byte === undefined) throw this.#invalid('fewer times than entries')
      this.#offset++
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        if (byte === 0 && shift > 0n)
          throw this.#invalid('a number is not in its shortest form')
        return value
      }
    }
    throw this.#invalid('a number is longer than 10 bytes')
  }

  #invalid(problem: string): InvalidObjectError {
    return new InvalidObjectError(
      `invalid modification times at byte ${this.#offset}: ${problem}`,
      { what: 'modification times', offset: this.#offset },
    )
  }
}
