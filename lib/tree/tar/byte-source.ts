import { invalidArchive } from './archive-error.js'

/** Bytes that come in chunks, taken in pieces of any size, with a count of what was taken. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>
  #chunk: Buffer = Buffer.alloc(0)
  #offset = 0

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Bytes taken so far. */
  get offset(): number {
    return this.#offset
  }

  /** Takes exactly so many bytes if they are here already; good until the next call. */
  take(length: number): Buffer | undefined {
    if (this.#chunk.length < length) return undefined
    const taken = this.#chunk.subarray(0, length)
    this.#chunk = this.#chunk.subarray(length)
    this.#offset += length
    return taken
  }

  /** Takes exactly so many bytes; throws InvalidArchiveError when the bytes end before. */
  async read(length: number): Promise<Buffer> {
    const start = this.#offset
    const found = await this.find(length)
    if (found === undefined && length > 0) throw cutOff(start, length, 0)
    return found ?? Buffer.alloc(0)
  }

  /** As read; undefined at the end of all bytes. */
  async find(length: number): Promise<Buffer | undefined> {
    const whole = this.take(length)
    if (whole !== undefined) return whole
    const start = this.#offset
    const pieces: Buffer[] = []
    let left = length
    while (left > 0) {
      const piece = await this.some(left)
      if (piece === undefined) {
        if (left === length) return undefined
        throw cutOff(start, length, length - left)
      }
      pieces.push(piece)
      left -= piece.length
    }
    return Buffer.concat(pieces, length)
  }

  /** Takes from 1 to `most` bytes, as they come; undefined at the end of all bytes. */
  async some(most: number): Promise<Buffer | undefined> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next()
      if (next.done === true) return undefined
      const { buffer, byteOffset, byteLength } = next.value
      this.#chunk = Buffer.from(buffer, byteOffset, byteLength)
    }
    return this.take(Math.min(most, this.#chunk.length))
  }

  /** Passes over bytes; throws as read does. */
  async skip(length: number): Promise<void> {
    const start = this.#offset
    for (let left = length; left > 0; ) {
      const piece = await this.some(left)
      if (piece === undefined) throw cutOff(start, length, length - left)
      left -= piece.length
    }
  }

  /** Lets go of where the bytes come from; harmless at their end. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }
}

function cutOff(offset: number, expected: number, found: number): Error {
  return invalidArchive({ offset }, 'it is cut off', {
    expected: `${expected} more bytes`,
    found,
  })
}
