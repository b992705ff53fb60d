import { ConnectionLostError } from '../../errors.js'

/** Takes exact numbers of bytes out of a stream of chunks; holds what was asked for only. */
export class StreamBytes {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #where: string
  #rest: Uint8Array = new Uint8Array(0)
  #offset = 0

  /** @param where - names the stream in errors */
  constructor(source: AsyncIterable<Uint8Array>, where: string) {
    this.#chunks = source[Symbol.asyncIterator]()
    this.#where = where
  }

  /** Bytes taken so far. */
  get offset(): number {
    return this.#offset
  }

  /** The next `length` bytes; throws ConnectionLostError when the stream ends before. */
  async take(length: number): Promise<Buffer> {
    const pieces: Uint8Array[] = []
    for (let left = length; left > 0; ) {
      const piece = await this.takeSome(left)
      pieces.push(piece)
      left -= piece.length
    }
    // What is handed out must not be a view of memory that the source uses again.
    return Buffer.concat(pieces, length)
  }

  /** At least one and at most `most` bytes, as they lie in the source's chunk. */
  async takeSome(most: number): Promise<Uint8Array> {
    if (this.#rest.length === 0 && !(await this.#fill())) {
      throw new ConnectionLostError(
        `${this.#where} ended after ${this.#offset} bytes, in the middle of a pack`,
        { where: this.#where, found: this.#offset },
      )
    }
    const piece = this.#rest.subarray(0, most)
    this.#rest = this.#rest.subarray(piece.length)
    this.#offset += piece.length
    return piece
  }

  /** Whether the stream has ended. */
  async hasEnded(): Promise<boolean> {
    return this.#rest.length === 0 && !(await this.#fill())
  }

  /** Tells the source that nothing more is wanted. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  async #fill(): Promise<boolean> {
    for (;;) {
      const next = await this.#chunks.next()
      if (next.done === true) return false
      if (next.value.length === 0) continue
      this.#rest = next.value
      return true
    }
  }
}
