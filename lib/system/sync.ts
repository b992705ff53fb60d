import { closeSync, fsyncSync, openSync } from 'node:fs'
import { bind } from './libc.js'

const syncfs = bind<[number]>('syncfs', 'int syncfs(int fd)')

/** Makes every write to the filesystem that holds an open file durable. */
export function syncFilesystem(fd: number): void {
  syncfs(fd)
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
