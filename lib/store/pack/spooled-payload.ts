import { constants, openSync, readSync } from 'node:fs'
import type { ObjectLink } from '../../object/descriptor.js'
import { writeFully } from '../../system/file-calls.js'
import type { AsidePayload } from '../payload-writer.js'
import { writeFailure } from '../storage-full.js'
import type { PackCalls } from './pack-calls.js'
import { type Codec, frameBytes } from './pack-format.js'
import { type PayloadCoder, shrinks } from './payload-coder.js'

const chunkBytes = 1024 * 1024

/** A spooled payload as it goes into a pack. */
export type SpooledForm = {
  readonly codec: Codec
  readonly storedSize: number
  /** Stored bytes, in order. */
  readonly chunks: Iterable<Buffer>
}

/** What a spooled payload needs of its session. */
export type SpoolOwner = {
  commit(link: ObjectLink, form: SpooledForm): Promise<void>
  forget(payload: SpooledPayload): void
}

/** A payload of unknown size, or without its children yet, in a file of a session. */
export class SpooledPayload implements AsidePayload {
  readonly #calls: PackCalls
  readonly #path: string
  readonly #owner: SpoolOwner
  readonly #frames: FrameSpool | undefined
  #fd: number | undefined
  #isOurs = true

  /** @param coder - compresses the payload as it comes */
  constructor(calls: PackCalls, path: string, owner: SpoolOwner, coder?: PayloadCoder) {
    this.#calls = calls
    this.#path = path
    this.#owner = owner
    this.#frames = coder && new FrameSpool(coder)
    try {
      this.#fd = calls.create(path)
    } catch (error) {
      throw writeFailure(error, path)
    }
  }

  write(bytes: Uint8Array): void {
    if (this.#frames === undefined) this.#append(bytes)
    else for (const piece of this.#frames.add(bytes)) this.#append(piece)
  }

  end(): void {
    if (this.#fd === undefined) return
    try {
      for (const piece of this.#frames?.end() ?? []) this.#append(piece)
    } finally {
      this.#close()
    }
  }

  async commit(link: ObjectLink): Promise<void> {
    if (!this.#isOurs) throw new Error('the session is closed')
    this.end()
    await this.#owner.commit(link, this.#form(link.size))
    this.discard()
  }

  discard(): void {
    this.#close()
    if (!this.#isOurs) return
    this.#isOurs = false
    this.#owner.forget(this)
    this.#calls.unlink(this.#path)
  }

  /** Closes the file, which is being thrown away with its folder. */
  abandon(): void {
    this.#isOurs = false
    this.#close()
  }

  #append(bytes: Uint8Array): void {
    if (this.#fd === undefined) throw new Error('the session is closed')
    try {
      writeFully(this.#calls, this.#fd, bytes)
    } catch (error) {
      throw writeFailure(error, this.#path)
    }
  }

  #close(): void {
    if (this.#fd === undefined) return
    const fd = this.#fd
    this.#fd = undefined
    this.#calls.close(fd)
  }

  #form(size: number): SpooledForm {
    const table = this.#frames?.table
    if (this.#frames === undefined || table === undefined) {
      return { codec: 'raw', storedSize: size, chunks: this.#chunks(uniform(size)) }
    }
    const frames = this.#chunks(this.#frames.lengths)
    const storedSize = table.length + this.#frames.stored
    return shrinks(size, storedSize)
      ? { codec: 'zstd', storedSize, chunks: joined(table, frames) }
      : { codec: 'raw', storedSize: size, chunks: this.#frames.plain(frames, size) }
  }

  /** What was written, in pieces of these lengths. */
  *#chunks(lengths: Iterable<number>): Generator<Buffer> {
    const fd = openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      for (const length of lengths) {
        const chunk = Buffer.allocUnsafe(length)
        for (let done = 0; done < length; ) {
          const count = readSync(fd, chunk, done, length - done, null)
          if (count === 0) throw new Error(`${this.#path} was cut off`)
          done += count
        }
        yield chunk
      }
    } finally {
      this.#calls.close(fd)
    }
  }
}

function* uniform(size: number): Generator<number> {
  for (let left = size; left > 0; left -= chunkBytes) yield Math.min(left, chunkBytes)
}

function* joined(table: Buffer, frames: Iterable<Buffer>): Generator<Buffer> {
  yield table
  yield* frames
}

// Gathers plain bytes into frames; the first frame decides whether they are compressed.
class FrameSpool {
  readonly #coder: PayloadCoder
  readonly lengths: number[] = []
  /** Bytes of all frames. */
  stored = 0
  #frame = Buffer.allocUnsafeSlow(frameBytes)
  #used = 0
  #isRaw: boolean | undefined

  constructor(coder: PayloadCoder) {
    this.#coder = coder
  }

  *add(bytes: Uint8Array): Generator<Uint8Array> {
    for (let from = 0; from < bytes.length; ) {
      const length = Math.min(frameBytes - this.#used, bytes.length - from)
      this.#frame.set(bytes.subarray(from, from + length), this.#used)
      this.#used += length
      from += length
      if (this.#used === frameBytes) yield this.#take()
    }
  }

  *end(): Generator<Uint8Array> {
    if (this.#used > 0) yield this.#take()
    this.#frame = Buffer.alloc(0)
  }

  /** What stands in front of the frames; undefined when nothing was compressed. */
  get table(): Buffer | undefined {
    if (this.#isRaw !== false) return undefined
    const table = Buffer.allocUnsafe(4 * this.lengths.length)
    for (const [index, length] of this.lengths.entries()) {
      table.writeUInt32LE(length, 4 * index)
    }
    return table
  }

  /** Undoes the compression, which turned out to save nothing. */
  *plain(frames: Iterable<Buffer>, size: number): Generator<Buffer> {
    let left = size
    for (const frame of frames) {
      const plain = this.#coder.decodeFrame(frame, Math.min(left, frameBytes))
      left -= plain.length
      yield plain
    }
  }

  #take(): Uint8Array {
    const plain = this.#frame.subarray(0, this.#used)
    this.#used = 0
    this.#isRaw ??= !this.#coder.isWorthwhile(plain)
    const frame = this.#isRaw ? plain : this.#coder.codeFrame(plain)
    this.lengths.push(frame.length)
    this.stored += frame.length
    return frame
  }
}
