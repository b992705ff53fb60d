import { frameBytes } from './pack-format.js'
import type { Zstd } from './zstd.js'

/*
 * A compressed payload: u32 stored length of every frame, then the frames back to back.
 * Each frame is an independent zstd frame of 1 MiB plain bytes, the last one of what is
 * left, with its plain size in its header and no dictionary.
 */

const frameMagic = 0xfd2fb528
const lengthBytes = 4
// The bound that zstd documents for a frame, with room to spare for other encoders.
const maxFrameBytes = frameBytes + (frameBytes >> 7) + 1024

/** Frames of a payload. */
function frameCount(size: number): number {
  return Math.ceil(size / frameBytes)
}

/** Joins frames into a compressed payload. */
export function joinFrames(frames: readonly Uint8Array[]): Buffer {
  const lengths = Buffer.allocUnsafe(lengthBytes * frames.length)
  for (const [index, { length }] of frames.entries()) {
    lengths.writeUInt32LE(length, lengthBytes * index)
  }
  return Buffer.concat([lengths, ...frames])
}

/** A compressed payload to be read. */
export type CodedSource = {
  /** At most maxCodedBytes. */
  readonly size: number
  readonly storedSize: number
  /** Reads stored bytes; offsets count from the first one. */
  read(offset: number, length: number): Buffer
  /** Makes the error to throw when the bytes cannot be decoded. */
  corrupt(problem: string): Error
}

/**
 * Decompresses the plain bytes `from` to `to`, a frame at a time.
 *
 * Every length and every frame header is checked before anything is decoded, so whatever
 * the bytes claim, memory stays at the table of lengths and about two frames.
 */
export function* readFrames(
  source: CodedSource,
  zstd: Zstd,
  { from, to }: { from: number; to: number },
): Generator<Uint8Array> {
  if (from >= to) return
  const frames = new FrameChecker(source, problem => source.corrupt(problem))
  const lengths = frames.lengths(source.read(0, frames.tableBytes))
  const last = Math.ceil(to / frameBytes)
  let offset = frames.tableBytes
  for (const [index, length] of lengths.subarray(0, last).entries()) {
    const start = index * frameBytes
    if (start + frameBytes > from) {
      const plain = frames.decode(index, source.read(offset, length), zstd)
      yield plain.subarray(Math.max(0, from - start), to - start)
    }
    offset += length
  }
}

/** Checks the frames of one compressed payload, then decodes them. */
export class FrameChecker {
  readonly #size: number
  readonly #storedSize: number
  readonly #corrupt: (problem: string) => Error

  constructor(
    { size, storedSize }: { size: number; storedSize: number },
    corrupt: (problem: string) => Error,
  ) {
    this.#size = size
    this.#storedSize = storedSize
    this.#corrupt = corrupt
  }

  /** Bytes of the table in front of the frames. */
  get tableBytes(): number {
    return lengthBytes * frameCount(this.#size)
  }

  /** Parses the table: the lengths of the frames fill exactly what is stored. */
  lengths(table: Buffer): Uint32Array {
    const lengths = new Uint32Array(table.length / lengthBytes)
    let sum = table.length
    for (const index of lengths.keys()) {
      const length = table.readUInt32LE(lengthBytes * index)
      if (length > maxFrameBytes) {
        throw this.#corrupt(`frame ${index} of ${length} bytes is beyond the bounds`)
      }
      lengths[index] = length
      sum += length
    }
    if (sum !== this.#storedSize) {
      throw this.#corrupt(`its frames take ${sum} bytes of ${this.#storedSize}`)
    }
    return lengths
  }

  /** Decodes one frame. */
  decode(index: number, frame: Buffer, zstd: Zstd): Uint8Array {
    const size = Math.min(frameBytes, this.#size - index * frameBytes)
    const problem = frameProblem(frame, size)
    if (problem !== undefined) throw this.#corrupt(`frame ${index}: ${problem}`)
    const plain = zstd.decompress(frame, size)
    if (plain === undefined) throw this.#corrupt(`frame ${index} is damaged`)
    return plain
  }
}

/** What is wrong with a frame that should hold exactly `size` plain bytes. */
function frameProblem(frame: Buffer, size: number): string | undefined {
  if (frame.length < 9 || frame.readUInt32LE(0) !== frameMagic) return 'no zstd frame'
  const flags = frame.readUInt8(4)
  const isSingle = (flags & 0x20) !== 0
  if ((flags & 0x0b) !== 0) return 'it needs a dictionary or has unknown flags'
  const sizeAt = isSingle ? 5 : 6
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0
  if (sizeBytes === 0) return 'its header tells no size'
  const blocksAt = sizeAt + sizeBytes
  if (frame.length < blocksAt + 3) return 'it is cut off'
  const told = readPlainSize(frame, sizeAt, sizeBytes)
  if (told !== size) return `expected ${size} plain bytes, its header tells ${told}`
  const hasChecksum = (flags & 0x04) !== 0
  if (endOfBlocks(frame, blocksAt) + (hasChecksum ? 4 : 0) !== frame.length)
    return 'its blocks do not end where it ends'
  return undefined
}

function readPlainSize(frame: Buffer, at: number, bytes: number): number {
  if (bytes === 8) return Number(frame.readBigUInt64LE(at))
  // Two bytes count from 256.
  return frame.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0)
}

// Where the last block ends; -1 when that is beyond the frame.
function endOfBlocks(frame: Buffer, start: number): number {
  for (let at = start; at + 3 <= frame.length; ) {
    const head = frame.readUIntLE(at, 3)
    const isRun = ((head >> 1) & 3) === 1
    at += 3 + (isRun ? 1 : head >>> 3)
    if ((head & 1) !== 0) return at
  }
  return -1
}
