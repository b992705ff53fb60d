import {
  closeSync,
  constants,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { canSyncFilesystem, syncFilesystem } from './sync.js'

/**
 * The calls through which durable data is written.
 *
 * Whoever writes takes them as an object, so that a test can fail the nth one. Each
 * throws the system's error.
 */
export interface FileCalls {
  /** Makes a new file, mode 0600 less umask, and opens it for writing. */
  create(path: string): number
  /** Opens a file or folder so that it can be synced. */
  open(path: string): number
  /** Opens a log for reading and appending; makes it, mode 0600 less umask. */
  openLog(path: string): number
  /** Cuts an open file to a size. */
  truncate(fd: number, size: number): void
  /** Writes at the current position; may write less than given. */
  write(fd: number, bytes: Uint8Array): number
  close(fd: number): void
  rename(from: string, to: string): void
  unlink(path: string): void
  /** Makes a folder, mode 0755 less umask, and those above it; tells the first made. */
  makeFolder(path: string): string | undefined
  sync(fd: number): Promise<void>
  canSyncFilesystem(): boolean
  /** Syncs all of the filesystem that holds an open file. */
  syncFilesystem(fd: number): Promise<void>
}

const newFile =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

const log =
  constants.O_RDWR |
  constants.O_APPEND |
  constants.O_CREAT |
  constants.O_NOFOLLOW |
  constants.O_NONBLOCK |
  constants.O_NOCTTY

/** The calls of this system. */
export const systemFileCalls: FileCalls = {
  create: path => openSync(path, newFile, 0o600),
  open: path => openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW),
  openLog: path => openSync(path, log, 0o600),
  truncate: ftruncateSync,
  write: (fd, bytes) => writeSync(fd, bytes),
  close: closeSync,
  rename: renameSync,
  unlink: unlinkSync,
  makeFolder: path => mkdirSync(path, { recursive: true, mode: 0o755 }),
  sync: promisify(fsync),
  canSyncFilesystem,
  syncFilesystem,
}

/** Writes all bytes, however many calls that takes. */
export function writeFully(calls: FileCalls, fd: number, bytes: Uint8Array): void {
  let rest = bytes
  while (rest.length > 0) {
    const written = calls.write(fd, rest)
    if (written === 0) throw new Error(`a write took none of ${rest.length} bytes`)
    rest = rest.subarray(written)
  }
}
