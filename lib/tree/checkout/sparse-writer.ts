import { ftruncateSync, writeSync } from 'node:fs'

/**
 * Bytes of the smallest run of zeros that becomes a hole: eight pages, counted from
 * multiples of itself. Shorter runs are written, since a hole costs an extent.
 */
export const holeBytes = 8 * 4096

const zeros = Buffer.alloc(holeBytes)

/** What brings bytes to a position of an open file. */
export type PutBytes = (fd: number, bytes: Uint8Array, position: number) => void

/** Writes chunks one behind the other into a new file and leaves holes for zeros. */
export class SparseWriter {
  readonly #fd: number
  readonly #put: PutBytes
  #position = 0
  // Zeros at the start of the present block that no write has covered yet.
  #pending = 0
  // Where the last write ended.
  #written = 0

  /** @param put - writes bytes; at once, unless given */
  constructor(fd: number, put: PutBytes = writeAll) {
    this.#fd = fd
    this.#put = put
  }

  /** Bytes taken so far. */
  get size(): number {
    return this.#position
  }

  write(chunk: Uint8Array): void {
    let dataStart = 0
    let at = 0
    while (at < chunk.length) {
      const start = this.#position % holeBytes
      const end = Math.min(chunk.length, at + holeBytes - start)
      if (start === this.#pending && isZero(chunk, at, end)) {
        this.#writeAt(chunk, dataStart, at)
        dataStart = end
        this.#pending = end - at + start === holeBytes ? 0 : this.#pending + end - at
      } else if (this.#pending > 0) this.#writePending()
      this.#position += end - at
      at = end
    }
    this.#writeAt(chunk, dataStart, at)
  }

  /** Ends the file: gives it its full length when it ends in a hole. */
  end(): void {
    if (this.#pending > 0) this.#writePending()
    if (this.#written < this.#position) ftruncateSync(this.#fd, this.#position)
  }

  // `end` is where this.#position stands.
  #writeAt(chunk: Uint8Array, start: number, end: number): void {
    if (start === end) return
    this.#put(this.#fd, chunk.subarray(start, end), this.#position - (end - start))
    this.#written = this.#position
  }

  #writePending(): void {
    const pending = zeros.subarray(0, this.#pending)
    this.#put(this.#fd, pending, this.#position - this.#pending)
    this.#written = this.#position
    this.#pending = 0
  }
}

/** Writes all bytes at a position, however little the kernel takes at once. */
export function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  let written = 0
  while (written < bytes.length) {
    const left = bytes.length - written
    written += writeSync(fd, bytes, written, left, position + written)
  }
}

function isZero(chunk: Uint8Array, start: number, end: number): boolean {
  if (chunk[start] !== 0) return false
  return Buffer.compare(chunk.subarray(start, end), zeros.subarray(0, end - start)) === 0
}
