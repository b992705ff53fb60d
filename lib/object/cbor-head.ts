import { InvalidObjectError } from '../errors.js'

/** The start of an item: its major type, its argument, and the offset behind them. */
export type CborHead = {
  readonly major: number
  readonly argument: bigint
  readonly next: number
}

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
  if (info < 24) return { major, argument: BigInt(info), next: offset + 1 }
  if (info > 27)
    throw invalidCbor(offset, 'indefinite and reserved lengths are not allowed')
  const width = 1 << (info - 24)
  if (offset + 1 + width > bytes.length) throw invalidCbor(offset, 'the value is cut off')
  let argument = 0n
  for (let index = 1; index <= width; index++) {
    argument = (argument << 8n) | BigInt(bytes[offset + index] ?? 0)
  }
  const isShortest =
    major === 7
      ? isShortestSimple(width, argument)
      : argument >= (width === 1 ? 24n : 1n << BigInt(4 * width))
  if (!isShortest) throw invalidCbor(offset, 'a number is not in its shortest form')
  return { major, argument, next: offset + 1 + width }
}

/** Encodes a head with its argument in the shortest form. */
export function encodeCborHead(major: number, argument: bigint): Buffer {
  const type = major << 5
  if (argument < 24n) return Buffer.of(type | Number(argument))
  const head = Buffer.alloc(9)
  if (argument <= 0xffn) {
    head[0] = type | 24
    return head.subarray(0, head.writeUInt8(Number(argument), 1))
  }
  if (argument <= 0xffffn) {
    head[0] = type | 25
    return head.subarray(0, head.writeUInt16BE(Number(argument), 1))
  }
  if (argument <= 0xffff_ffffn) {
    head[0] = type | 26
    return head.subarray(0, head.writeUInt32BE(Number(argument), 1))
  }
  head[0] = type | 27
  return head.subarray(0, head.writeBigUInt64BE(argument, 1))
}

/** Makes the error for a rule that the bytes at an offset break. */
export function invalidCbor(offset: number, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid CBOR at byte ${offset}: ${problem}`, {
    what: 'CBOR',
    offset,
  })
}

// A simple value behind a head of one byte starts at 32; a float must not fit a narrower
// one (RFC 8949 sections 3.3 and 4.2.1).
function isShortestSimple(width: number, bits: bigint): boolean {
  if (width === 1) return bits >= 32n
  if (width === 4) return !isHalf(Number(bits))
  return width === 2 || !isSingle(bits)
}

function isHalf(bits: number): boolean {
  const exponent = (bits >>> 23) & 0xff
  const fraction = bits & 0x7f_ffff
  if (exponent === 0) return fraction === 0
  const droppedBits = exponent > 112 ? 13 : 126 - exponent
  if (exponent > 142 && exponent < 255) return false
  if (droppedBits > 23) return false
  return fraction % 2 ** droppedBits === 0
}

function isSingle(bits: bigint): boolean {
  const exponent = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xf_ffff_ffff_ffffn
  if (exponent === 0) return fraction === 0n
  const droppedBits = exponent > 896 ? 29 : 926 - exponent
  if (exponent > 1150 && exponent < 2047) return false
  if (droppedBits > 52) return false
  return fraction % 2n ** BigInt(droppedBits) === 0n
}
