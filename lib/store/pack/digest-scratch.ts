import { maxDigestBytes } from '../../object/algorithm.js'
import type { Digest } from '../../object/digest.js'

/**
 * One digest at a time in binary form, for loops that cannot afford a buffer an object.
 *
 * The hash is also there as words, in this machine's byte order: quick to copy and
 * compare for equality.
 */
export class DigestScratch {
  /** The binary form: `length` bytes of it count. */
  readonly bytes: Buffer
  readonly words: Uint32Array
  /** Bytes of the digest loaded last, 0 when there is none. */
  length = 0
  #loaded: Digest | undefined

  constructor() {
    // The algorithm byte stands in front of a word, so that the hash starts at one.
    const memory = new ArrayBuffer(3 + maxDigestBytes)
    this.bytes = Buffer.from(memory, 3)
    this.words = new Uint32Array(memory, 4)
  }

  /** The id byte of the digest's algorithm. */
  get algorithm(): number {
    return this.bytes[0] ?? 255
  }

  load(digest: Digest): void {
    if (digest === this.#loaded) return
    this.#loaded = digest
    this.length = this.bytes.write(digest, 0, 'hex')
  }
}
