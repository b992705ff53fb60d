import { closeSync, constants, openSync, readSync } from 'node:fs'

const chunkBytes = 256 * 1024
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Compares the contents of files, pair after pair, through two buffers of its own. */
export class ContentComparison {
  readonly #buffers = [
    Buffer.allocUnsafe(chunkBytes),
    Buffer.allocUnsafe(chunkBytes),
  ] as const
  readonly #signal: AbortSignal | undefined
  #bytes = 0

  constructor(signal?: AbortSignal) {
    this.#signal = signal
  }

  /** Bytes that were found equal so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Never through a link; throws what the system says, and the signal's reason. */
  isSame(one: Buffer, other: Buffer): boolean {
    const first = openSync(one, openFlags)
    try {
      const last = openSync(other, openFlags)
      try {
        return this.#isSame(first, last)
      } finally {
        closeSync(last)
      }
    } finally {
      closeSync(first)
    }
  }

  #isSame(first: number, last: number): boolean {
    const [left, right] = this.#buffers
    for (;;) {
      this.#signal?.throwIfAborted()
      const length = fill(first, left)
      if (fill(last, right) !== length) return false
      if (!left.subarray(0, length).equals(right.subarray(0, length))) return false
      this.#bytes += length
      if (length < chunkBytes) return true
    }
  }
}

function fill(fd: number, buffer: Buffer): number {
  let length = 0
  while (length < buffer.length) {
    const read = readSync(fd, buffer, length, buffer.length - length, null)
    if (read === 0) break
    length += read
  }
  return length
}
