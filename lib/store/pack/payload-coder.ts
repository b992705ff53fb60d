import { InvalidArgumentError } from '../../errors.js'
import { frameBytes } from './pack-format.js'
import type { CodedPayload } from './pack-writer.js'
import type { Zstd } from './zstd.js'
import { joinFrames } from './zstd-frames.js'

/** How new payloads are stored. */
export type Compression =
  | { readonly codec: 'none' }
  /** Level 1 to 19. */
  | { readonly codec: 'zstd'; readonly level: number }

// Below this, a frame's own bytes eat what it saves.
const minCodedBytes = 128
// From this size on a sample decides first.
const sampledFrom = 256 * 1024
const sampleBytes = 32 * 1024

/** Throws InvalidArgumentError for a level that zstd or the format does not have. */
export function checkCompression(compression: Compression): void {
  if (compression.codec === 'none') return
  const { level } = compression
  if (Number.isInteger(level) && level >= 1 && level <= 19) return
  throw new InvalidArgumentError(`invalid zstd level: expected 1 to 19, found ${level}`, {
    level,
  })
}

/** Codes payloads with zstd where that makes them smaller. */
export class PayloadCoder {
  readonly #zstd: Zstd
  readonly #level: number

  constructor(zstd: Zstd, level: number) {
    this.#zstd = zstd
    this.#level = level
  }

  /** Codes a whole payload; raw when a sample, or the whole, does not shrink. */
  code(payload: Uint8Array): CodedPayload {
    if (!this.isWorthwhile(payload)) return { codec: 'raw', bytes: payload }
    const frames: Uint8Array[] = []
    for (let start = 0; start < payload.length; start += frameBytes) {
      frames.push(this.codeFrame(payload.subarray(start, start + frameBytes)))
    }
    const bytes = joinFrames(frames)
    return shrinks(payload.length, bytes.length)
      ? { codec: 'zstd', bytes }
      : { codec: 'raw', bytes: payload }
  }

  /** Compresses one frame of at most 1 MiB. */
  codeFrame(plain: Uint8Array): Uint8Array {
    return this.#zstd.compress(plain, this.#level)
  }

  /** Undoes codeFrame. */
  decodeFrame(frame: Uint8Array, size: number): Buffer {
    const plain = this.#zstd.decompress(frame, size)
    if (plain === undefined) throw new Error('a frame of our own cannot be decoded')
    return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength)
  }

  /** Whether compressing is worth trying, by a sample from the middle of what is there. */
  isWorthwhile(payload: Uint8Array): boolean {
    if (payload.length < sampledFrom) return payload.length >= minCodedBytes
    const middle = (payload.length - sampleBytes) >>> 1
    const sample = payload.subarray(middle, middle + sampleBytes)
    return shrinks(sampleBytes, this.#zstd.compress(sample, 1).length)
  }
}

/** Whether a coded form saves so much that decoding it each time is worth it. */
export function shrinks(size: number, storedSize: number): boolean {
  return storedSize <= size - (size >>> 5) - 16
}
