import { isUtf8 } from 'node:buffer'
import { InvalidArgumentError } from '../errors.js'
import { ByteWriter } from './byte-writer.js'
import {
  type CborHead,
  exactArgument,
  invalidCbor,
  readCborHead,
  writeCborHead,
} from './cbor-head.js'

/**
 * A value of the CBOR subset that extensions use: integers, byte strings, text strings,
 * arrays, and maps with integer or text keys. Decoded integers beyond 2^53-1 are BigInt,
 * others numbers; both forms are accepted when encoding.
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

/** One key of a map with its encoded value. */
export type CborMember = { readonly key: bigint; readonly value: Uint8Array }

/** Levels of arrays, maps and tags in one value. */
const maxDepth = 16

/** Members of all arrays and maps of one decoded value. */
const maxItems = 65_536

const maxArgument = 2n ** 64n - 1n
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const loneSurrogate = /\p{Cs}/u

/**
 * Encodes deterministically (RFC 8949 section 4.2.1).
 *
 * Throws InvalidArgumentError for a number that is no integer of 64 bits and for text
 * that has no UTF-8 form.
 */
export function encodeCbor(value: CborValue): Buffer {
  const writer = new ByteWriter()
  writeValue(writer, value)
  return writer.finish()
}

/**
 * Decodes exactly one value of the subset; throws InvalidObjectError.
 *
 * Accepts the deterministic encoding only: shortest lengths, definite lengths, map keys
 * ascending by their encoded bytes and each once, at most 16 levels deep, at most 65,536
 * members in all.
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  const end = checkItem(bytes, 0, 'subset')
  if (end !== bytes.length) throw invalidCbor(end, 'expected the end of the value')
  return buildValue(bytes)
}

/** Which values may stand in a map that is split: those of the subset, or any. */
export type CborRule = 'subset' | 'any'

/**
 * Splits a map with unsigned integer keys into its members, values still encoded.
 *
 * The whole of `bytes` must be that map, in deterministic encoding. `ruleOf` tells what
 * the value of a key may hold: `any` also allows floats, tags, simple values and keys of
 * every kind. Throws InvalidObjectError.
 */
export function splitCborMap(
  bytes: Uint8Array,
  ruleOf: (key: bigint) => CborRule,
): CborMember[] {
  const head = readCborHead(bytes, 0)
  if (head.major !== 5) throw invalidCbor(0, 'expected a map')
  const members: CborMember[] = []
  let offset = head.next
  let before = -1n
  // Every member takes bytes, so a count that lies runs into the end of them.
  for (let index = 0; index < head.argument; index++) {
    const keyHead = readCborHead(bytes, offset)
    if (keyHead.major !== 0) throw invalidCbor(offset, 'expected an unsigned integer key')
    const key = exactArgument(keyHead)
    if (key <= before) {
      throw invalidCbor(offset, 'map keys are not in ascending order, each once')
    }
    before = key
    offset = checkItem(bytes, keyHead.next, ruleOf(key))
    members.push({ key, value: bytes.subarray(keyHead.next, offset) })
  }
  if (offset !== bytes.length) throw invalidCbor(offset, 'expected the end of the map')
  return members
}

/** Joins members, ascending by key and each once, into an encoded map. */
export function joinCborMap(members: readonly CborMember[]): Buffer {
  const writer = new ByteWriter()
  writeCborHead(writer, 5, members.length)
  for (const { key, value } of members) {
    writeCborHead(writer, 0, key)
    writer.bytes(value)
  }
  return writer.finish()
}

/** Throws InvalidObjectError unless the bytes are exactly one deterministic item. */
export function checkCbor(bytes: Uint8Array, rule: CborRule): void {
  const end = checkItem(bytes, 0, rule)
  if (end !== bytes.length) throw invalidCbor(end, 'expected the end of the value')
}

function writeValue(writer: ByteWriter, value: CborValue): void {
  if (typeof value === 'number' || typeof value === 'bigint') {
    writeInteger(writer, value)
  } else if (typeof value === 'string') {
    if (loneSurrogate.test(value)) {
      throw new InvalidArgumentError('text with half a surrogate pair has no UTF-8 form')
    }
    const bytes = Buffer.from(value)
    writeCborHead(writer, 3, bytes.length)
    writer.bytes(bytes)
  } else if (value instanceof Uint8Array) {
    writeCborHead(writer, 2, value.length)
    writer.bytes(value)
  } else if (value instanceof Map) {
    writeMap(writer, value as ReadonlyMap<CborKey, CborValue>)
  } else {
    const items = value as readonly CborValue[]
    writeCborHead(writer, 4, items.length)
    for (const item of items) writeValue(writer, item)
  }
}

function writeMap(writer: ByteWriter, map: ReadonlyMap<CborKey, CborValue>): void {
  const members = [...map].map(([key, value]) => ({ key: encodeCbor(key), value }))
  members.sort((one, other) => Buffer.compare(one.key, other.key))
  writeCborHead(writer, 5, members.length)
  for (const { key, value } of members) {
    writer.bytes(key)
    writeValue(writer, value)
  }
}

function writeInteger(writer: ByteWriter, value: number | bigint): void {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError(`not an integer: ${value}`)
  }
  if (value >= 0 && value <= maxArgument) return writeCborHead(writer, 0, value)
  const argument = -1n - BigInt(value)
  if (argument < 0n || argument > maxArgument) {
    throw new InvalidArgumentError(`not an integer of 64 bits: ${value}`)
  }
  writeCborHead(writer, 1, argument)
}

type Level = {
  readonly isMap: boolean
  /** Items still to come; in a map, keys and values count. */
  left: number
  itemStart: number
  beforeKey: Uint8Array | undefined
}

// Walks one value without building it, so that hostile lengths and depths cost nothing.
// Returns the offset behind it.
function checkItem(bytes: Uint8Array, start: number, rule: CborRule): number {
  const levels: Level[] = []
  let offset = start
  let items = 0
  for (;;) {
    const level = levels.at(-1)
    if (level !== undefined) level.itemStart = offset
    const head = readCborHead(bytes, offset)
    if (rule === 'subset') checkSubset(head, offset, level)
    const opened = openedItems(bytes, head, offset)
    if (opened !== undefined) {
      if (levels.length >= maxDepth)
        throw invalidCbor(offset, `more than ${maxDepth} levels`)
      items += opened
      if (rule === 'subset' && items > maxItems) {
        throw invalidCbor(offset, `more than ${maxItems} members`)
      }
    }
    offset = head.major === 2 || head.major === 3 ? checkString(bytes, head) : head.next
    if (opened !== undefined && opened > 0) {
      const isMap = head.major === 5
      levels.push({ isMap, left: opened, itemStart: offset, beforeKey: undefined })
    } else if (endItem(bytes, levels, offset)) {
      return offset
    }
  }
}

// How many items stand in an array, map or tag; undefined for all others.
function openedItems(
  bytes: Uint8Array,
  head: CborHead,
  offset: number,
): number | undefined {
  if (head.major === 6) return 1
  if (head.major !== 4 && head.major !== 5) return undefined
  const items = head.major === 5 ? head.argument * 2 : head.argument
  if (head.wide !== undefined || items > bytes.length - head.next) {
    throw invalidCbor(
      offset,
      `${exactArgument(head)} members take more bytes than are left`,
    )
  }
  return items
}

// Counts an item that has ended in what it stands in, and what ends with it. True when
// nothing is open any more.
function endItem(bytes: Uint8Array, levels: Level[], end: number): boolean {
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    if (level.isMap && level.left % 2 === 0) {
      const key = bytes.subarray(level.itemStart, end)
      if (level.beforeKey !== undefined && Buffer.compare(level.beforeKey, key) >= 0) {
        throw invalidCbor(
          level.itemStart,
          'map keys are not in ascending order, each once',
        )
      }
      level.beforeKey = key
    }
    level.left -= 1
    if (level.left > 0) return false
    levels.pop()
  }
  return true
}

function checkSubset(head: CborHead, offset: number, level: Level | undefined): void {
  if (head.major > 5) {
    throw invalidCbor(offset, 'tags, floats and simple values are not allowed')
  }
  const isKey = level?.isMap === true && level.left % 2 === 0
  if (isKey && head.major !== 0 && head.major !== 1 && head.major !== 3) {
    throw invalidCbor(offset, 'a map key is neither an integer nor text')
  }
}

function checkString(bytes: Uint8Array, head: CborHead): number {
  if (head.wide !== undefined || head.argument > bytes.length - head.next) {
    throw invalidCbor(head.next, `a string of ${exactArgument(head)} bytes is cut off`)
  }
  const end = head.next + head.argument
  if (head.major === 3 && !isUtf8(bytes.subarray(head.next, end))) {
    throw invalidCbor(head.next, 'a text is not UTF-8')
  }
  return end
}

type Building = {
  readonly isMap: boolean
  readonly items: CborValue[]
  readonly count: number
}

// For bytes that checkItem has accepted under the subset rule.
function buildValue(bytes: Uint8Array): CborValue {
  const open: Building[] = []
  let offset = 0
  for (;;) {
    const head = readCborHead(bytes, offset)
    offset = head.next
    let value: CborValue
    if (head.major === 4 || head.major === 5) {
      const isMap = head.major === 5
      const count = head.argument * (isMap ? 2 : 1)
      if (count > 0) {
        open.push({ isMap, items: [], count })
        continue
      }
      value = isMap ? new Map() : []
    } else if (head.major === 2 || head.major === 3) {
      const string = bytes.subarray(offset, offset + head.argument)
      offset += string.length
      value = head.major === 2 ? Buffer.from(string) : utf8.decode(string)
    } else {
      value = integerOf(head)
    }
    for (;;) {
      const building = open.at(-1)
      if (building === undefined) return value
      building.items.push(value)
      if (building.items.length < building.count) break
      open.pop()
      value = building.isMap ? mapOf(building.items) : building.items
    }
  }
}

function integerOf(head: CborHead): number | bigint {
  const argument = exactArgument(head)
  const integer = head.major === 0 ? argument : -1n - argument
  const small = Number(integer)
  return Number.isSafeInteger(small) ? small : integer
}

function mapOf(items: readonly CborValue[]): ReadonlyMap<CborKey, CborValue> {
  const map = new Map<CborKey, CborValue>()
  for (let index = 0; index + 1 < items.length; index += 2) {
    map.set(items[index] as CborKey, items[index + 1] as CborValue)
  }
  return map
}
