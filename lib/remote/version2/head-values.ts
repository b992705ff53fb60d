import type { CborValue } from '../../object/canonical-cbor.js'
import { type Descriptor, decodeDescriptor } from '../../object/descriptor.js'
import { type Digest, parseDigestBytes } from '../../object/digest.js'
import { type HeadMembers, invalidTransfer } from './transfer-head.js'

/** Reads the members of a head one by one, and tells what was not read. */
export class HeadValues {
  readonly #members: HeadMembers
  readonly #where: string
  readonly #read = new Set<number>()

  constructor(members: HeadMembers, where: string) {
    this.#members = members
    this.#where = where
  }

  /** An unsigned number; undefined when it is missing. */
  number(key: number): number | undefined {
    const value = this.#take(key)
    if (value === undefined) return undefined
    return this.asNumber(value, key)
  }

  /** A row of values, at most `maximum`; empty when it is missing. */
  row<Value>(
    key: number,
    maximum: number,
    read: (value: CborValue, key: number) => Value,
  ): Value[] {
    const value = this.#take(key) ?? []
    if (!Array.isArray(value)) throw this.#unexpected(key, 'an array')
    if (value.length > maximum) throw this.#unexpected(key, `at most ${maximum} values`)
    return value.map((one: CborValue) => read(one, key))
  }

  /** A byte string; undefined when it is missing. */
  bytes(key: number): Buffer | undefined {
    const value = this.#take(key)
    return value === undefined ? undefined : this.asBytes(value, key)
  }

  /** Text; undefined when it is missing. */
  text(key: number): string | undefined {
    const value = this.#take(key)
    return value === undefined ? undefined : this.asText(value, key)
  }

  readonly asDescriptor = (value: CborValue, key: number): Descriptor =>
    decodeDescriptor(this.asBytes(value, key))

  readonly asDigest = (value: CborValue, key: number): Digest =>
    parseDigestBytes(this.asBytes(value, key))

  readonly asNumber = (value: CborValue, key: number): number => {
    if (typeof value === 'number' && value >= 0) return value
    throw this.#unexpected(key, 'an unsigned number below 2^53')
  }

  readonly asText = (value: CborValue, key: number): string => {
    if (typeof value === 'string') return value
    throw this.#unexpected(key, 'text')
  }

  readonly asBytes = (value: CborValue, key: number): Buffer => {
    if (value instanceof Uint8Array) {
      return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    }
    throw this.#unexpected(key, 'a byte string')
  }

  /** Refuses members that nobody has read. */
  end(): void {
    for (const key of this.#members.keys()) {
      if (!this.#read.has(key)) throw invalidTransfer(this.#where, `unknown key ${key}`)
    }
  }

  #take(key: number): CborValue | undefined {
    this.#read.add(key)
    return this.#members.get(key)
  }

  #unexpected(key: number, expected: string): Error {
    return invalidTransfer(this.#where, `expected ${expected} at key ${key}`)
  }
}
