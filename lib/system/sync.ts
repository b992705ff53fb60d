import { closeSync, fsyncSync, openSync } from 'node:fs'
import { bindAsync, hasNativeCalls } from './libc.js'

const syncfs = bindAsync<[number]>('syncfs', 'int syncfs(int fd)')

/**
 * Makes every write to the filesystem that holds an open file durable.
 *
 * Failures of writes since that file was opened are reported, so open it before writing.
 */
export async function syncFilesystem(fd: number): Promise<void> {
  await syncfs(fd)
}

/** Whether syncFilesystem works on this platform. */
export function canSyncFilesystem(): boolean {
  return hasNativeCalls()
}

/** Makes the names in a folder durable. */
export function syncFolder(path: string | Buffer): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
