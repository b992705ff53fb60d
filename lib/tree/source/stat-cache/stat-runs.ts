import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Algorithm } from '../../../object/algorithm.js'
import type { Digest } from '../../../object/digest.js'
import type { Slot } from '../pending-directory.js'
import { compareFiles, StatRows } from './stat-rows.js'

// Rows in memory: 5.5 MB, with 32 bytes a hash.
const runRows = 64 * 1024
// Rows of a batch whose digests are not known yet.
const maxWaiting = 8 * 1024
const readRows = 1024

/** A row of a run, in memory until the next one is asked for. */
export type RunRow = { readonly rows: StatRows; readonly row: number }

type Waiting = { readonly slot: Slot; readonly row: number }

/**
 * Gathers new rows in sorted runs: one in memory, those before it in files.
 *
 * Disposing removes the files.
 */
export class StatRuns implements Disposable {
  readonly #algorithm: Algorithm
  readonly #temp: string
  /** Made for the first row: most stores find nothing new. */
  #gathered: StatRows | undefined
  readonly #files: { readonly path: string; readonly count: number }[] = []
  #used = 0
  #waiting: Waiting[] = []

  /** @param temp - a folder for the files */
  constructor(algorithm: Algorithm, temp: string) {
    this.#algorithm = algorithm
    this.#temp = temp
  }

  /** Rows so far. */
  get count(): number {
    return this.#files.reduce((sum, { count }) => sum + count, this.#used)
  }

  /** Adds a row for a file whose digest is in the slot, now or when settle() is called. */
  add(state: Uint32Array, facts: { isBare: boolean; day: number }, slot: Slot): void {
    if (this.#used === runRows + maxWaiting) this.settle()
    const row = this.#used++
    this.#rows.setState(row, state, facts)
    this.#waiting.push({ slot, row })
  }

  /** Takes over the digests that have become known. */
  settle(): void {
    const waiting: Waiting[] = []
    for (const pending of this.#waiting) {
      const digest: Digest | undefined = pending.slot.link?.digest
      if (digest === undefined) waiting.push(pending)
      else this.#rows.setDigest(pending.row, digest)
    }
    this.#waiting = waiting
    if (this.#used >= runRows && waiting.length === 0) this.#spill()
  }

  /** The rows of each run in ascending order, the newest run first. */
  sources(): Iterable<RunRow>[] {
    if (this.#waiting.length > 0) throw new Error('a digest is not known yet')
    const files = this.#files.toReversed().map(file => this.#read(file))
    return [this.#sorted(), ...files]
  }

  [Symbol.dispose](): void {
    for (const { path } of this.#files.splice(0)) rmSync(path, { force: true })
  }

  get #rows(): StatRows {
    this.#gathered ??= new StatRows(this.#algorithm, runRows + maxWaiting)
    return this.#gathered
  }

  *#sorted(): Generator<RunRow> {
    if (this.#used === 0) return
    const { words, width } = this.#rows
    const order = new Uint32Array(this.#used).map((_, index) => index)
    // The later one of two rows for the same file comes first.
    order.sort(
      (one, other) =>
        compareFiles(words, one * width, words, other * width) || other - one,
    )
    for (const row of order) yield { rows: this.#rows, row }
  }

  #spill(): void {
    const path = join(this.#temp, `stat-run-${this.#files.length}`)
    const fd = openSync(path, 'wx', 0o600)
    this.#files.push({ path, count: this.#used })
    try {
      const piece = new StatRows(this.#algorithm, readRows)
      let inPiece = 0
      const flush = () => {
        writeFully(fd, piece.bytes.subarray(0, inPiece * piece.width * 4))
        inPiece = 0
      }
      for (const { rows, row } of this.#sorted()) {
        piece.copy(inPiece++, rows, row)
        if (inPiece === readRows) flush()
      }
      flush()
    } finally {
      closeSync(fd)
    }
    this.#used = 0
  }

  *#read({ path, count }: { path: string; count: number }): Generator<RunRow> {
    const fd = openSync(path, 'r')
    try {
      const rows = new StatRows(this.#algorithm, readRows)
      for (let from = 0; from < count; from += readRows) {
        const length = Math.min(readRows, count - from)
        const bytes = rows.bytes.subarray(0, length * rows.width * 4)
        readFully(fd, bytes, from * rows.width * 4)
        for (let row = 0; row < length; row++) yield { rows, row }
      }
    } finally {
      closeSync(fd)
    }
  }
}

function writeFully(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
}

function readFully(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    const count = readSync(fd, bytes, done, bytes.length - done, position + done)
    if (count === 0) throw new Error('a run of the stat cache is cut off')
    done += count
  }
}
