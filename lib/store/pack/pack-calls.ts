import { ftruncateSync, writeSync } from 'node:fs'
import { type FileCalls, systemFileCalls } from '../../system/file-calls.js'

/** The calls through which packs are written: a test can fail the nth one. */
export interface PackCalls extends FileCalls {
  /** Writes at a place of the file; may write less than given. */
  writeAt(fd: number, bytes: Uint8Array, position: number): number
  truncate(fd: number, length: number): void
}

/** The calls of this system. */
export const systemPackCalls: PackCalls = {
  ...systemFileCalls,
  writeAt: (fd, bytes, position) => writeSync(fd, bytes, 0, bytes.length, position),
  truncate: ftruncateSync,
}
