import { randomBytes } from 'node:crypto'

/**
 * HalfSipHash-1-3 with a key of its own: whoever chooses names cannot choose where they
 * go in a hash table.
 */
export class KeyedHash {
  readonly #key0: number
  readonly #key1: number

  constructor(key: Buffer = randomBytes(8)) {
    this.#key0 = key.readInt32LE(0)
    this.#key1 = key.readInt32LE(4)
  }

  /** Hashes a number and a name behind it to 32 bits. */
  hash(number: number, name: Uint8Array): number {
    let v0 = this.#key0
    let v1 = this.#key1
    let v2 = 0x6c796765 ^ this.#key0
    let v3 = 0x74656462 ^ this.#key1
    let word = number | 0
    // Words of four bytes; the last one holds the rest and the length.
    for (let at = 0, last = false; ; ) {
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = rotate(v1, 5) ^ v0
      v0 = rotate(v0, 16)
      v2 = (v2 + v3) | 0
      v3 = rotate(v3, 8) ^ v2
      v0 = (v0 + v3) | 0
      v3 = rotate(v3, 7) ^ v0
      v2 = (v2 + v1) | 0
      v1 = rotate(v1, 13) ^ v2
      v2 = rotate(v2, 16)
      v0 ^= word
      if (last) break
      const left = name.length - at
      last = left < 4
      word = last ? name.length << 24 : 0
      const count = last ? left : 4
      for (let byte = 0; byte < count; byte++)
        word |= (name[at + byte] ?? 0) << (8 * byte)
      at += 4
    }
    v2 ^= 0xff
    for (let round = 0; round < 3; round++) {
      v0 = (v0 + v1) | 0
      v1 = rotate(v1, 5) ^ v0
      v0 = rotate(v0, 16)
      v2 = (v2 + v3) | 0
      v3 = rotate(v3, 8) ^ v2
      v0 = (v0 + v3) | 0
      v3 = rotate(v3, 7) ^ v0
      v2 = (v2 + v1) | 0
      v1 = rotate(v1, 13) ^ v2
      v2 = rotate(v2, 16)
    }
    return (v1 ^ v3) >>> 0
  }
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
