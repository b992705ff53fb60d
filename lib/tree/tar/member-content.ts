import type { ByteSource } from './byte-source.js'
import type { ExpansionLimit } from './expansion-limit.js'
import type { SparseMap } from './sparse-map.js'

const chunkBytes = 1024 * 1024
const zeros = Buffer.alloc(64 * 1024)

/** How the content of an entry is stored. */
export type StoredContent = {
  readonly stored: number
  /** Bytes behind it, up to the next block. */
  readonly padding: number
  readonly map: SparseMap | undefined
}

/** The content of one entry of an archive, read once. */
export class MemberContent {
  readonly #source: ByteSource
  readonly #limit: ExpansionLimit
  readonly #map: SparseMap | undefined
  readonly #padding: number
  #left: number
  #finished = false

  constructor(source: ByteSource, limit: ExpansionLimit, content: StoredContent) {
    this.#source = source
    this.#limit = limit
    this.#map = content.map
    this.#left = content.stored
    this.#padding = content.padding
  }

  /** Reads all of it; meant for what is known to be small. */
  async read(): Promise<Buffer> {
    if (this.#map === undefined) {
      const length = this.#left
      this.#left = 0
      this.#limit.unfold(length)
      return this.#source.take(length) ?? (await this.#source.read(length))
    }
    const chunks: Uint8Array[] = []
    for await (const chunk of this.chunks()) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks)
  }

  /** Reads it in chunks of at most 1 MiB, each good until the next one; holes as zeros. */
  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#map === undefined) {
      yield* this.#stored(this.#left)
      return
    }
    const { size, parts } = this.#map
    let position = 0
    for (let at = 0; at < parts.length; at += 2) {
      const offset = parts[at] ?? 0
      const length = parts[at + 1] ?? 0
      yield* this.#hole(offset - position)
      yield* this.#stored(length)
      position = offset + length
    }
    yield* this.#hole(size - position)
  }

  /** Passes over what was not read, and over what fills the last block. */
  async finish(): Promise<void> {
    if (this.#finished) return
    this.#finished = true
    const rest = this.#left + this.#padding
    if (rest > 0 && this.#source.take(rest) === undefined) await this.#source.skip(rest)
  }

  async *#stored(length: number): AsyncGenerator<Uint8Array, void, void> {
    for (let left = length; left > 0; ) {
      const chunk =
        (await this.#source.some(Math.min(left, chunkBytes))) ??
        // The end of the archive: tells what is missing.
        (await this.#source.read(left))
      left -= chunk.length
      this.#left -= chunk.length
      this.#limit.unfold(chunk.length)
      yield chunk
    }
  }

  *#hole(length: number): Generator<Uint8Array, void, void> {
    for (let left = length; left > 0; left -= zeros.length) {
      const chunk = left < zeros.length ? zeros.subarray(0, left) : zeros
      this.#limit.unfold(chunk.length)
      yield chunk
    }
  }
}
