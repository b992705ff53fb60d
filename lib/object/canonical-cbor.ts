import { Decoder, Encoder } from 'cbor-x'
import { InvalidObjectError } from '../errors.js'

/**
 * A value of the CBOR subset that extensions use: integers, byte strings, text strings,
 * arrays, and maps with integer or text keys. Integers from 2^32 on are BigInt when
 * decoded; both forms are accepted when encoding.
 */
export type CborValue =
  | number
  | bigint
  | string
  | Uint8Array
  | readonly CborValue[]
  | ReadonlyMap<CborKey, CborValue>

/** A map key of the subset. */
export type CborKey = number | bigint | string

/** Levels of arrays and maps in one value. */
const maxDepth = 16

const encoder = new Encoder({
  useRecords: false,
  variableMapSize: true,
  tagUint8Array: false,
  mapsAsObjects: false,
})
const decoder = new Decoder({ useRecords: false, mapsAsObjects: false })
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Encodes deterministically (RFC 8949 section 4.2.1). */
export function encodeCbor(value: CborValue): Buffer {
  return Buffer.from(encoder.encode(canonical(value)))
}

/**
 * Decodes exactly one value; throws InvalidObjectError.
 *
 * Accepts the deterministic encoding only: shortest lengths, definite lengths, map keys
 * ascending by their encoded bytes and each once, at most 16 levels deep.
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  const end = checkCbor(bytes, 0)
  if (end !== bytes.length) throw invalid(end, `expected the end of the value`)
  return decoder.decode(bytes) as CborValue
}

/** One key of a map with the place of its encoded value. */
export type CborMember = { readonly key: bigint; readonly value: Uint8Array }

/**
 * Splits a map with unsigned integer keys into its members, values still encoded.
 *
 * The whole of `bytes` must be that map, in deterministic encoding.
 */
export function splitCborMap(bytes: Uint8Array): CborMember[] {
  const head = readHead(bytes, 0)
  if (head.major !== 5) throw invalid(0, 'expected a map')
  const end = checkCbor(bytes, 0)
  if (end !== bytes.length) throw invalid(end, 'expected the end of the map')
  const members: CborMember[] = []
  let offset = head.next
  for (let index = 0n; index < head.argument; index++) {
    const key = readHead(bytes, offset)
    if (key.major !== 0) throw invalid(offset, 'expected an unsigned integer key')
    const valueEnd = checkCbor(bytes, key.next)
    members.push({ key: key.argument, value: bytes.subarray(key.next, valueEnd) })
    offset = valueEnd
  }
  return members
}

/** Joins members, ascending by key and each once, into an encoded map. */
export function joinCborMap(members: readonly CborMember[]): Buffer {
  const parts: Uint8Array[] = [encodeHead(5, members.length)]
  for (const { key, value } of members) parts.push(encodeCbor(key), value)
  return Buffer.concat(parts)
}

function canonical(value: CborValue): unknown {
  if (typeof value === 'number') {
    // From 2^32 on the encoder writes a number as a float, a BigInt as an integer.
    if (!Number.isSafeInteger(value)) throw new TypeError(`not an integer: ${value}`)
    return Math.abs(value) < 2 ** 32 ? value : BigInt(value)
  }
  if (typeof value === 'bigint') {
    const small = value > -(2n ** 32n) && value < 2n ** 32n
    return small ? Number(value) : value
  }
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (value instanceof Map) return canonicalMap(value)
  return (value as readonly CborValue[]).map(canonical)
}

function canonicalMap(map: ReadonlyMap<CborKey, CborValue>): Map<unknown, unknown> {
  const members = [...map].map(([key, value]) => ({
    key,
    encoded: encodeCbor(key),
    value,
  }))
  members.sort((one, other) => Buffer.compare(one.encoded, other.encoded))
  return new Map(members.map(({ key, value }) => [canonical(key), canonical(value)]))
}

function encodeHead(major: number, argument: number): Uint8Array {
  // The encoder's own heads for integers and map sizes differ in the major type alone.
  const head = encodeCbor(argument)
  head[0] = (head[0] ?? 0) | (major << 5)
  return head
}

type Head = { readonly major: number; readonly argument: bigint; readonly next: number }

function readHead(bytes: Uint8Array, offset: number): Head {
  const first = bytes[offset]
  if (first === undefined) throw invalid(offset, 'the value is cut off')
  const major = first >> 5
  const info = first & 0x1f
  if (info < 24) return { major, argument: BigInt(info), next: offset + 1 }
  if (info > 27) throw invalid(offset, 'indefinite and reserved lengths are not allowed')
  const width = 1 << (info - 24)
  if (offset + 1 + width > bytes.length) throw invalid(offset, 'the value is cut off')
  let argument = 0n
  for (let index = 1; index <= width; index++) {
    argument = (argument << 8n) | BigInt(bytes[offset + index] ?? 0)
  }
  const least = width === 1 ? 24n : 1n << BigInt(4 * width)
  if (argument < least) throw invalid(offset, 'a number is not in its shortest form')
  return { major, argument, next: offset + 1 + width }
}

// Walks one value without building it, so that hostile lengths and depths cost nothing.
// Returns the offset behind it.
function checkCbor(bytes: Uint8Array, start: number): number {
  type Level = { left: bigint; isMap: boolean; beforeKey: Uint8Array | undefined }
  const levels: Level[] = []
  let offset = start
  for (;;) {
    const level = levels.at(-1)
    const isKey = level?.isMap === true && level.left % 2n === 0n
    const itemStart = offset
    const head = readHead(bytes, offset)
    offset = head.next
    if (isKey && head.major !== 0 && head.major !== 1 && head.major !== 3) {
      throw invalid(itemStart, 'a map key is neither an integer nor text')
    }
    if (head.major === 2 || head.major === 3) {
      offset = checkString(bytes, head)
    } else if (head.major === 4 || head.major === 5) {
      const items = head.major === 5 ? head.argument * 2n : head.argument
      if (items > BigInt(bytes.length - offset)) {
        throw invalid(itemStart, `${head.argument} members take more bytes than are left`)
      }
      if (levels.length >= maxDepth)
        throw invalid(itemStart, `more than ${maxDepth} levels`)
      levels.push({ left: items, isMap: head.major === 5, beforeKey: undefined })
    } else if (head.major > 5) {
      throw invalid(itemStart, 'tags, floats and simple values are not allowed')
    }
    if (isKey) {
      const key = bytes.subarray(itemStart, offset)
      if (level.beforeKey !== undefined && Buffer.compare(level.beforeKey, key) >= 0) {
        throw invalid(itemStart, 'map keys are not in ascending order, each once')
      }
      level.beforeKey = key
    }
    if (level !== undefined) level.left -= 1n
    while (levels.at(-1)?.left === 0n) levels.pop()
    if (levels.length === 0) return offset
  }
}

function checkString(bytes: Uint8Array, head: Head): number {
  if (head.argument > BigInt(bytes.length - head.next)) {
    throw invalid(head.next, `a string of ${head.argument} bytes is cut off`)
  }
  const end = head.next + Number(head.argument)
  if (head.major === 3) {
    try {
      utf8.decode(bytes.subarray(head.next, end))
    } catch (error) {
      if (error instanceof TypeError) throw invalid(head.next, 'a text is not UTF-8')
      throw error
    }
  }
  return end
}

function invalid(offset: number, problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid CBOR at byte ${offset}: ${problem}`, {
    what: 'CBOR',
    offset,
  })
}
