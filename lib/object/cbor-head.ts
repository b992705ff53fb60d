import { InvalidObjectError } from '../errors.js'
import type { ByteWriter } from './byte-writer.js'

/** The start of an item: its major type, its argument, and the offset behind them. */
export type CborHead = {
  readonly major: number
  /** Exact unless `wide` is there; then 2^31-1, more than any count or length can be. */
  readonly argument: number
  /** An argument of 2^31-1 and more. */
  readonly wide: bigint | undefined
  readonly next: number
}

// A number beyond this in `argument` would make every offset computed from one a boxed
// number, which slows the walk over an item twentyfold.
const maxSmall = 0x7fff_ffff

/**
 * Reads the head of an item; throws InvalidObjectError.
 *
 * For major type 7 the argument is the simple value or the bits of the float.
 */
export function readCborHead(bytes: Uint8Array, offset: number): CborHead {
  const first = bytes[offset]
  if (first === undefined) throw invalidCbor(offset, 'the value is cut off')
  const major = first >> 5
  const info = first & 0x1f
  if (info < 24) return { major, argument: info, wide: undefined, next: offset + 1 }
  if (info > 27) {
    throw invalidCbor(offset, 'indefinite and reserved lengths are not allowed')
  }
  const width = 1 << (info - 24)
  const next = offset + 1 + width
  if (next > bytes.length) throw invalidCbor(offset, 'the value is cut off')
  if (width === 8) return wideHead(bytes, offset, major)
  let argument = 0
  for (let index = offset + 1; index < next; index++) {
    argument = argument * 256 + (bytes[index] ?? 0)
  }
  const isShortest =
    major === 7
      ? width === 2 || (width === 1 ? argument >= 32 : !isHalf(argument))
      : argument >= (width === 1 ? 24 : 1 << (4 * width))
  if (!isShortest) throw notShortest(offset)
  return argument < maxSmall
    ? { major, argument, wide: undefined, next }
    : { major, argument: maxSmall, wide: BigInt(argument), next }
}

/** The argument of a head in full. */
export function exactArgument(head: CborHead): bigint {
  return head.wide ?? BigInt(head.argument)
}

/** Appends a head with its argument, 0 to 2^64-1, in the shortest form. */
export function writeCborHead(
  writer: ByteWriter,
  major: number,
  argument: number | bigint,
): void {
  const type = major << 5
  if (argument > 0xffff_ffff) {
    const wide = BigInt(argument)
    writer.u8(type | 27)
    for (let shift = 56n; shift >= 0n; shift -= 8n) {
      writer.u8(Number((wide >> shift) & 0xffn))
    }
    return
  }
  const small = Number(argument)
  if (small < 24) {
    writer.u8(type | small)
  } else if (small <= 0xff) {
    writer.u8(type | 24).u8(small)
  } else if (small <= 0xffff) {
    writer
      .u8(type | 25)
      .u8(small >>> 8)
      .u8(small & 0xff)
  } else {
    writer.u8(type | 26)
    for (let shift = 24; shift >= 0; shift -= 8) writer.u8((small >>> shift) & 0xff)
  }
}

/** Makes the error for a rule that the bytes at an offset break. */
export function invalidCbor(offset: number, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid CBOR at byte ${offset}: ${problem}`, {
    what: 'CBOR',
    offset,
  })
}

function wideHead(bytes: Uint8Array, offset: number, major: number): CborHead {
  let wide = 0n
  for (let index = offset + 1; index < offset + 9; index++) {
    wide = (wide << 8n) | BigInt(bytes[index] ?? 0)
  }
  const isShortest = major === 7 ? !isSingle(wide) : wide > 0xffff_ffffn
  if (!isShortest) throw notShortest(offset)
  return { major, argument: maxSmall, wide, next: offset + 9 }
}

function notShortest(offset: number): InvalidObjectError {
  return invalidCbor(offset, 'a number is not in its shortest form')
}

// Whether a float of 32 bits fits one of 16: a shorter form that had to be used
// (RFC 8949 section 4.2.1).
function isHalf(bits: number): boolean {
  const exponent = (bits >>> 23) & 0xff
  const fraction = bits & 0x7f_ffff
  if (exponent === 0) return fraction === 0
  const droppedBits = exponent > 112 ? 13 : 126 - exponent
  if (exponent > 142 && exponent < 255) return false
  if (droppedBits > 23) return false
  return fraction % 2 ** droppedBits === 0
}

// Whether a float of 64 bits fits one of 32.
function isSingle(bits: bigint): boolean {
  const exponent = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xf_ffff_ffff_ffffn
  if (exponent === 0) return fraction === 0n
  const droppedBits = exponent > 896 ? 29 : 926 - exponent
  if (exponent > 1150 && exponent < 2047) return false
  if (droppedBits > 52) return false
  return fraction % 2n ** BigInt(droppedBits) === 0n
}
