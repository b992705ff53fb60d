import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Algorithm } from '../../../object/algorithm.js'
import type { Digest } from '../../../object/digest.js'
import { type FilesystemId, findSteadyFilesystem } from '../../../system/filesystem-id.js'
import type { Slot } from '../pending-directory.js'
import { FileKey } from './file-key.js'
import { compareFiles, type RowFacts, type StatRows } from './stat-rows.js'
import { StatRuns } from './stat-runs.js'
import { maxRows, StatTable } from './stat-table.js'
import { StatTableWriter } from './stat-table-writer.js'

const millisecondsOfDay = 24 * 60 * 60 * 1000
// A clock of the kernel moves in steps, and that of the program may be a little ahead.
const racyMilliseconds = 1000
// Rows that were of no use for so long are left out when a table is written.
const keptDays = 60
// So that a store that finds all unchanged need not write the table each time.
const refreshedDays = 7

/** What a StatCache is made from. */
export type StatCacheParts = {
  /** Where tables are kept; made when there is something to keep. */
  readonly folder: string
  /** An existing folder on the same filesystem, cleared by whoever made it. */
  readonly temp: string
  /** Of the digests that are wanted. */
  readonly algorithm: Algorithm
  /** Milliseconds since 1970-01-01 UTC; the present unless told. */
  readonly now?: number
}

/** What is known of a file. */
export type KnownFile = RowFacts & { readonly digest: Digest }

/**
 * Remembers the digests of files by filesystem, inode, size, ctime and mtime, so that a
 * file that has not changed need not be read again.
 *
 * Each change of a file moves its ctime, which nobody can set; a file that was changed less
 * than a second before it was read is not remembered. Whether the object is there is for
 * the caller to ask. Disposing it forgets what was not saved.
 */
export class StatCache implements Disposable {
  readonly key = new FileKey()
  readonly #path: string
  readonly #parts: StatCacheParts
  readonly #now: number
  readonly #today: number
  readonly #filesystems = new Map<number, FilesystemId | undefined>()
  readonly #table: StatTable | undefined
  /** A bit for each row of the table that was of use. */
  readonly #used: Uint8Array
  readonly #runs: StatRuns
  #isDue = false

  constructor(parts: StatCacheParts) {
    const { folder, temp, algorithm, now = Date.now() } = parts
    this.#parts = parts
    this.#path = join(folder, `stat-${algorithm.name}`)
    this.#now = now
    this.#today = Math.floor(now / millisecondsOfDay)
    this.#table = StatTable.open(this.#path, algorithm)
    this.#used = new Uint8Array(Math.ceil((this.#table?.count ?? 0) / 8))
    this.#runs = new StatRuns(algorithm, temp)
  }

  /** Learns which filesystem a device holds, from an open folder of it. */
  learn(device: number, folder: number): void {
    if (this.#filesystems.has(device)) return
    this.#filesystems.set(device, findSteadyFilesystem(folder))
  }

  /** What is known of the file of `key`, on a device. */
  find(device: number): KnownFile | undefined {
    if (this.#table === undefined || !this.#setDevice(device)) return undefined
    const found = this.#table.find(this.key.words)
    if (found === undefined) return undefined
    const { rows, row, ordinal } = found
    if (!rows.isOf(row, this.key.words)) return undefined
    const byte = ordinal >>> 3
    this.#used[byte] = (this.#used[byte] ?? 0) | (1 << (ordinal & 7))
    if (rows.day(row) < this.#today - refreshedDays) this.#isDue = true
    return { digest: rows.digest(row), isBare: rows.isBare(row) }
  }

  /**
   * Remembers the file of `key`, on a device, whose object is in the slot, now or when
   * settle() is called.
   */
  note(device: number, facts: RowFacts, slot: Slot): void {
    if (!this.#setDevice(device) || this.#isRacy()) return
    this.#runs.add(this.key.words, { ...facts, day: this.#today }, slot)
  }

  /** Takes over the digests that have become known. */
  settle(): void {
    this.#runs.settle()
  }

  /**
   * Keeps what was noted for the next store, beside what was known before.
   *
   * The table is replaced as a whole: of two that save at once, one may lose what it noted.
   */
  save(): void {
    if (this.#runs.count === 0 && !this.#isDue) return
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
    const { temp, algorithm } = this.#parts
    const current = StatTable.open(this.#path, algorithm)
    try {
      using writer = new StatTableWriter(join(temp, 'stat-table'), algorithm)
      const sources: Iterable<DatedRow>[] = this.#runs
        .sources()
        .map(rows => dated(rows, this.#today))
      if (current !== undefined) sources.push(this.#kept(current))
      for (const { rows, row, day } of merge(sources)) writer.add(rows, row, day)
      writer.finish(this.#path)
    } finally {
      current?.[Symbol.dispose]()
    }
  }

  [Symbol.dispose](): void {
    this.#runs[Symbol.dispose]()
    this.#table?.[Symbol.dispose]()
  }

  #setDevice(device: number): boolean {
    const filesystem = this.#filesystems.get(device)
    if (filesystem === undefined) return false
    this.key.filesystem = filesystem
    return true
  }

  #isRacy(): boolean {
    return this.key.changedMilliseconds > this.#now - racyMilliseconds
  }

  /** The rows of a table that are to stay, with the days on which they were of use. */
  *#kept(table: StatTable): Generator<DatedRow> {
    const isOurs = table.identity === this.#table?.identity
    const dayOf = (rows: StatRows, row: number, ordinal: number): number =>
      isOurs && this.#isUsed(ordinal) ? this.#today : rows.day(row)
    const room = maxRows - this.#runs.count
    const oldest = Math.max(this.#today - keptDays, oldestFitting(table, dayOf, room))
    for (const { rows, count, first } of table.blocks()) {
      for (let row = 0; row < count; row++) {
        const day = dayOf(rows, row, first + row)
        if (day >= oldest) yield { rows, row, day }
      }
    }
  }

  #isUsed(ordinal: number): boolean {
    return ((this.#used[ordinal >>> 3] ?? 0) & (1 << (ordinal & 7))) !== 0
  }
}

type DatedRow = { readonly rows: StatRows; readonly row: number; readonly day: number }

function* dated(
  rows: Iterable<{ rows: StatRows; row: number }>,
  day: number,
): Generator<DatedRow> {
  for (const row of rows) yield { ...row, day }
}

// The first day whose rows, with those of all later days, are no more than there is room for.
function oldestFitting(
  table: StatTable,
  dayOf: (rows: StatRows, row: number, ordinal: number) => number,
  room: number,
): number {
  if (table.count <= room) return 0
  const perDay = new Map<number, number>()
  for (const { rows, count, first } of table.blocks()) {
    for (let row = 0; row < count; row++) {
      const day = dayOf(rows, row, first + row)
      perDay.set(day, (perDay.get(day) ?? 0) + 1)
    }
  }
  let left = room
  let oldest = Number.POSITIVE_INFINITY
  for (const [day, count] of [...perDay].toSorted(([one], [other]) => other - one)) {
    left -= count
    if (left < 0) break
    oldest = day
  }
  return oldest
}

// Joins ascending rows; of those for one file, the first source's is taken.
function* merge(sources: readonly Iterable<DatedRow>[]): Generator<DatedRow> {
  const heads = sources.map(source => {
    const rows = source[Symbol.iterator]()
    return { rows, next: rows.next() }
  })
  const last = new Uint32Array(4)
  let isFirst = true
  for (;;) {
    let least: (typeof heads)[number] | undefined
    for (const head of heads) {
      if (head.next.done === true) continue
      if (least === undefined || least.next.done === true) least = head
      else if (compare(head.next.value, least.next.value) < 0) least = head
    }
    if (least === undefined || least.next.done === true) return
    const { rows, row } = least.next.value
    const start = row * rows.width
    if (isFirst || compareFiles(rows.words, start, last, 0) !== 0) {
      yield least.next.value
      last.set(rows.words.subarray(start, start + 4))
      isFirst = false
    }
    least.next = least.rows.next()
  }
}

function compare(one: DatedRow, other: DatedRow): number {
  return compareFiles(
    one.rows.words,
    one.row * one.rows.width,
    other.rows.words,
    other.row * other.rows.width,
  )
}
