import { closeSync, constants } from 'node:fs'
import { dirname } from 'node:path'
import { InvalidObjectError, InvalidTagFileError } from '../errors.js'
import { isErrno } from '../system/errno.js'
import type { FileCalls } from '../system/file-calls.js'
import { appendRecords, type RecordLogEnd, readRecords } from '../system/record-log.js'
import { checkRegular, openRegularFile, type Refusal } from '../system/regular-file.js'
import { removeIfThere, syncPath } from './durable-file.js'
import { named } from './system-failure.js'
import {
  decodeTagLogRecord,
  encodeTagLogRecord,
  type TagLogRecord,
} from './tag-log-record.js'

/**
 * Reads the log of a tag, oldest record first; none when there is no log.
 *
 * A torn last record is passed over. Throws InvalidTagFileError for a damaged log.
 */
export function* readTagLog(path: string): Generator<TagLogRecord, void> {
  const fd = openForReading(path)
  if (fd === undefined) return
  try {
    yield* decodeRecords(path, fd)
  } finally {
    closeSync(fd)
  }
}

/**
 * The log of a tag while it is being added to, by one writer at a time: the holder of the
 * exclusive lock.
 */
export class TagLogWriter implements AsyncDisposable {
  /** The record before those that are appended. */
  readonly last: TagLogRecord | undefined
  readonly #path: string
  readonly #fd: number
  readonly #end: RecordLogEnd
  readonly #calls: FileCalls
  #open = true

  private constructor(path: string, fd: number, calls: FileCalls) {
    this.#path = path
    this.#fd = fd
    this.#calls = calls
    let last: TagLogRecord | undefined
    const records = decodeRecords(path, fd)
    let next = records.next()
    for (; next.done !== true; next = records.next()) last = next.value
    this.#end = next.value
    this.last = last
  }

  /** Opens a log, which is made when there is none; its folder exists. */
  static open(path: string, calls: FileCalls): TagLogWriter {
    const fd = checkRegular(path, () => calls.openLog(path), irregular(path))
    try {
      return new TagLogWriter(path, fd, calls)
    } catch (error) {
      calls.close(fd)
      throw error
    }
  }

  /** Appends records durably; once for one opening. */
  async append(records: readonly TagLogRecord[]): Promise<void> {
    const bodies = records.map(encodeTagLogRecord)
    await appendRecords(this.#fd, this.#end, { bodies, calls: this.#calls })
    // The name of a new log must not be lost while its tag survives.
    if (this.last === undefined) await syncPath(dirname(this.#path), this.#calls)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.#calls.close(this.#fd)
  }
}

/**
 * Puts a log of these records in the place of another, durably.
 *
 * The caller keeps other writers away from both paths.
 */
export async function replaceTagLog(
  path: string,
  records: readonly TagLogRecord[],
  { temporary, calls }: { temporary: string; calls: FileCalls },
): Promise<void> {
  removeIfThere(temporary, calls)
  const fd = calls.openLog(temporary)
  try {
    const bodies = records.map(encodeTagLogRecord)
    await appendRecords(fd, { kind: 'whole', offset: 0 }, { bodies, calls })
  } finally {
    calls.close(fd)
  }
  calls.rename(temporary, path)
  await syncPath(dirname(path), calls)
}

function* decodeRecords(path: string, fd: number): Generator<TagLogRecord, RecordLogEnd> {
  const bodies = readRecords(fd)
  let before = 0n
  let next = bodies.next()
  for (; next.done !== true; next = bodies.next()) {
    const record = decode(path, next.value)
    if (record.sequence <= before) {
      throw damaged(path, `record ${record.sequence} follows record ${before}`)
    }
    before = record.sequence
    yield record
  }
  if (next.value.kind === 'damaged') {
    throw damaged(path, `no record at byte ${next.value.offset}, yet more bytes follow`)
  }
  return next.value
}

function decode(path: string, body: Buffer): TagLogRecord {
  try {
    return decodeTagLogRecord(body)
  } catch (error) {
    if (error instanceof InvalidObjectError) throw damaged(path, error.message, error)
    throw error
  }
}

function openForReading(path: string): number | undefined {
  try {
    return openRegularFile(path, constants.O_RDONLY, irregular(path))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw named(error, 'read tag log', path)
  }
}

function irregular(path: string): Refusal {
  const expected = 'a regular file'
  return found =>
    new InvalidTagFileError(
      `invalid tag log ${path}: expected ${expected}, found ${found}`,
      { path, expected, found },
    )
}

function damaged(path: string, problem: string, cause?: unknown): InvalidTagFileError {
  return new InvalidTagFileError(
    `damaged tag log ${path}: ${problem}`,
    { path },
    cause === undefined ? undefined : { cause },
  )
}
