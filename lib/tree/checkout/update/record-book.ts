import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../../../system/errno.js'
import { findSteadyFilesystem } from '../../../system/filesystem-id.js'
import {
  type CheckoutRecord,
  encodeRecord,
  findRecord,
  maxRecordBytes,
} from './checkout-record.js'

// Records of folders that are gone are removed; of others the oldest, above this count.
const maxRecords = 1000
const namePattern = /^[0-9a-f]{32}$/
const temporaryPattern = /^[0-9a-f]{32}\.[0-9a-f]{8}$/
const temporaryLifeMs = 60 * 60 * 1000
const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Remembers which tree was checked out to which folder.
 *
 * What it holds is derived: a record that is missing or damaged costs time, no more, and
 * keeps no object from being collected.
 */
export class RecordBook {
  readonly #folder: string

  /** @param folder - made when there is something to remember */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** The record of a folder; undefined where there is none, or the folder is another. */
  find(folder: string, open: number): CheckoutRecord | undefined {
    const record = this.#read(nameOf(folder))
    const isOf = record?.folder === folder && record.identity === findIdentity(open)
    return isOf ? record : undefined
  }

  /** Puts a record in place of what was known; throws the system's error. */
  save(record: CheckoutRecord): void {
    const bytes = encodeRecord(record)
    if (bytes === undefined) return
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    this.#prune()
    const path = join(this.#folder, nameOf(record.folder))
    const temporary = `${path}.${randomBytes(4).toString('hex')}`
    writeFileSync(temporary, bytes, { mode: 0o600, flag: 'wx' })
    renameSync(temporary, path)
  }

  #prune(): void {
    const kept: { readonly name: string; readonly savedAt: number }[] = []
    for (const name of readdirSync(this.#folder)) {
      const stats = statSync(join(this.#folder, name), { throwIfNoEntry: false })
      if (stats === undefined) continue
      if (temporaryPattern.test(name)) {
        if (Date.now() - stats.mtimeMs > temporaryLifeMs) this.#remove(name)
      } else if (namePattern.test(name)) {
        if (this.#isStale(name)) this.#remove(name)
        else kept.push({ name, savedAt: stats.mtimeMs })
      }
    }
    const newestFirst = kept.toSorted((one, other) => other.savedAt - one.savedAt)
    for (const { name } of newestFirst.slice(maxRecords - 1)) this.#remove(name)
  }

  #isStale(name: string): boolean {
    const record = this.#read(name)
    if (record === undefined) return true
    let open: number
    try {
      open = openSync(record.folder, folderFlags)
    } catch (error) {
      // Who may not look cannot know.
      return isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')
    }
    try {
      return findIdentity(open) !== record.identity
    } finally {
      closeSync(open)
    }
  }

  #read(name: string): CheckoutRecord | undefined {
    let fd: number
    try {
      fd = openSync(join(this.#folder, name), constants.O_RDONLY | constants.O_NOFOLLOW)
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'EACCES', 'ELOOP', 'ENOTDIR')) return undefined
      throw error
    }
    try {
      const stats = fstatSync(fd)
      if (!stats.isFile() || stats.size > maxRecordBytes) return undefined
      return findRecord(readFileSync(fd))
    } finally {
      closeSync(fd)
    }
  }

  #remove(name: string): void {
    try {
      unlinkSync(join(this.#folder, name))
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error
    }
  }
}

/** What tells an open folder from every other; undefined where the filesystem cannot. */
export function findIdentity(folder: number): string | undefined {
  const filesystem = findSteadyFilesystem(folder)
  if (filesystem === undefined) return undefined
  const { ino } = fstatSync(folder, { bigint: true })
  return `${filesystem.high.toString(16)}:${filesystem.low.toString(16)}:${ino}`
}

function nameOf(folder: string): string {
  return createHash('sha256').update(folder).digest('hex').slice(0, 32)
}
