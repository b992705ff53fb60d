import type { Descriptor } from '../object/descriptor.js'

/** How far one quantity of a transfer has come. */
export type ProgressCount = {
  readonly transferred: number
  /** What needed no transfer, because the receiver has it or has asked for it already. */
  readonly skipped: number
  readonly total: number
}

/** A transfer at one moment. Bytes beyond 2^53 are rounded. */
export type ProgressSnapshot = {
  readonly objects: ProgressCount
  readonly bytes: ProgressCount
  readonly elapsedMs: number
}

/**
 * Counts what a transfer has done, by reference (format section 2.3): a tree that names an
 * object twice counts it twice, so a whole transfer ends with transferred and skipped
 * adding up to the total.
 */
export class ProgressMeter {
  readonly #started = performance.now()
  #objects = { transferred: 0, skipped: 0, total: 0 }
  #bytes = { transferred: 0n, skipped: 0n, total: 0n }

  /** Sets the totals to those of `root` and everything below it, and starts from zero. */
  begin(root: Descriptor): void {
    this.#objects = { transferred: 0, skipped: 0, total: 1 + root.subObjectCount }
    const total = BigInt(root.size) + root.subObjectsSize
    this.#bytes = { transferred: 0n, skipped: 0n, total }
  }

  /** Counts payload bytes as they move. */
  addBytes(count: number): void {
    this.#bytes.transferred += BigInt(count)
  }

  /** Counts an object whose payload has moved. */
  addObject(): void {
    this.#objects.transferred += 1
  }

  /** Counts an object that needs no transfer, and with it everything below it. */
  skip(descriptor: Descriptor): void {
    this.#objects.skipped += 1 + descriptor.subObjectCount
    this.#bytes.skipped += BigInt(descriptor.size) + descriptor.subObjectsSize
  }

  /** Counts everything that is left as skipped: nothing more will move. */
  settle(): void {
    const { transferred, skipped, total } = this.#objects
    this.#objects.skipped = Math.max(skipped, total - transferred)
    const bytes = this.#bytes
    const left = bytes.total - bytes.transferred
    if (left > bytes.skipped) bytes.skipped = left
  }

  snapshot(): ProgressSnapshot {
    const { transferred, skipped, total } = this.#bytes
    return {
      objects: { ...this.#objects },
      bytes: {
        transferred: Number(transferred),
        skipped: Number(skipped),
        total: Number(total),
      },
      elapsedMs: performance.now() - this.#started,
    }
  }
}
