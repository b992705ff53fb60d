import { dirname } from 'node:path'
import { InvalidObjectError, InvalidSnapshotRootError } from '../../errors.js'
import { removeIfThere, syncPath } from '../../repository/durable-file.js'
import { named } from '../../repository/system-failure.js'
import type { FileCalls } from '../../system/file-calls.js'
import { appendRecords, type RecordLogEnd, readRecords } from '../../system/record-log.js'
import { decodeSnapshotChange, encodeSnapshotChange } from './snapshot-record.js'
import type { SnapshotChange } from './snapshot-row.js'
import { SnapshotTable } from './snapshot-table.js'

type Pending = {
  readonly body: Buffer
  readonly succeed: () => void
  readonly fail: (error: unknown) => void
}

// A log is written anew when it has this many records, and so many a snapshot.
const spareRecords = 1000
const recordsEach = 4

/**
 * The table of snapshots together with the log that makes it durable.
 *
 * One process at a time has a log open. Changes that are made while others are being
 * synced share the next sync. A log that has grown, or could not be synced, is written
 * anew.
 */
export class SnapshotLog implements AsyncDisposable {
  readonly table: SnapshotTable
  readonly #path: string
  readonly #calls: FileCalls
  #fd: number
  #end: RecordLogEnd
  #records: number
  #unsynced = false
  #queue: Pending[] = []
  #flushing: Promise<void> | undefined
  #open = true

  private constructor(path: string, fd: number, calls: FileCalls) {
    this.#path = path
    this.#fd = fd
    this.#calls = calls
    this.table = new SnapshotTable()
    this.#records = 0
    this.#end = this.#read()
  }

  /**
   * Opens a log, which is made when there is none; its folder exists.
   *
   * Throws InvalidSnapshotRootError for a damaged one.
   */
  static async open(path: string, calls: FileCalls): Promise<SnapshotLog> {
    const fd = openLog(path, calls)
    try {
      const log = new SnapshotLog(path, fd, calls)
      if (log.#end.offset === 0) await syncPath(dirname(path), calls)
      return log
    } catch (error) {
      calls.close(fd)
      throw error
    }
  }

  /** Makes a change durable, then carries it out. */
  async commit(change: SnapshotChange): Promise<void> {
    const body = encodeSnapshotChange(change)
    return new Promise((resolve, reject) => {
      const succeed = (): void => {
        this.table.apply(change)
        resolve()
      }
      this.#queue.push({ body, succeed, fail: reject })
      this.#flushing ??= this.#flush()
    })
  }

  /**
   * Carries out at once a change that can be found out again, and writes it with the next
   * one, or at the end.
   */
  note(change: SnapshotChange): void {
    const body = encodeSnapshotChange(change)
    this.table.apply(change)
    this.#queue.push({ body, succeed: () => undefined, fail: () => undefined })
  }

  /** Waits for what is under way, and closes the log. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await (this.#flushing ??= this.#flush())
    this.#calls.close(this.#fd)
  }

  async #flush(): Promise<void> {
    // Those who call in the same moment share the first sync already.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0)
      try {
        await this.#write(batch.map(({ body }) => body))
      } catch (error) {
        for (const { fail } of batch) fail(named(error, 'write', this.#path))
        continue
      }
      for (const { succeed } of batch) succeed()
    }
    this.#flushing = undefined
  }

  async #write(bodies: readonly Buffer[]): Promise<void> {
    const most = spareRecords + recordsEach * this.table.size
    if (this.#unsynced || this.#records > most) await this.#writeAnew()
    const end = await this.#append(this.#fd, this.#end, bodies)
    this.#end = end
    this.#records += bodies.length
  }

  // An fsync that failed says nothing of what is on disk, so the file is given up with it.
  async #append(
    fd: number,
    end: RecordLogEnd,
    bodies: readonly Buffer[],
  ): Promise<RecordLogEnd> {
    let syncing = false
    const sync = async (file: number): Promise<void> => {
      syncing = true
      await this.#calls.sync(file)
    }
    try {
      await appendRecords(fd, end, { bodies, calls: { ...this.#calls, sync } })
    } catch (error) {
      if (fd === this.#fd) {
        this.#end = { kind: 'torn', offset: end.offset }
        this.#unsynced ||= syncing
      }
      throw error
    }
    const grown = bodies.reduce((sum, body) => sum + body.length + 8, 0)
    return { kind: 'whole', offset: end.offset + grown }
  }

  async #writeAnew(): Promise<void> {
    const temporary = `${this.#path}.new`
    removeIfThere(temporary, this.#calls)
    const bodies = [...this.table.changes()].map(encodeSnapshotChange)
    const fd = this.#calls.openLog(temporary)
    try {
      const end = await this.#append(fd, { kind: 'whole', offset: 0 }, bodies)
      this.#calls.rename(temporary, this.#path)
      this.#calls.close(this.#fd)
      this.#fd = fd
      this.#end = end
      this.#records = bodies.length
    } catch (error) {
      this.#calls.close(fd)
      throw error
    }
    this.#unsynced = true
    await syncPath(dirname(this.#path), this.#calls)
    this.#unsynced = false
  }

  #read(): RecordLogEnd {
    const bodies = readRecords(this.#fd)
    try {
      let next = bodies.next()
      for (; next.done !== true; next = bodies.next()) {
        this.table.apply(decodeSnapshotChange(next.value))
        this.#records += 1
      }
      if (next.value.kind === 'damaged') {
        throw this.#damaged(
          `no record at byte ${next.value.offset}, yet more bytes follow`,
        )
      }
      this.table.check()
      return next.value
    } catch (error) {
      if (error instanceof InvalidObjectError) {
        throw this.#damaged(`record ${this.#records + 1}: ${error.message}`, error)
      }
      throw error
    }
  }

  #damaged(problem: string, cause?: unknown): InvalidSnapshotRootError {
    const path = this.#path
    return new InvalidSnapshotRootError(
      `damaged snapshot log ${path}: ${problem}`,
      { path },
      cause === undefined ? undefined : { cause },
    )
  }
}

function openLog(path: string, calls: FileCalls): number {
  try {
    return calls.openLog(path)
  } catch (error) {
    throw named(error, 'open snapshot log', path)
  }
}
