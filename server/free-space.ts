import { statfs } from 'node:fs/promises'
import { StorageFullError } from '../lib/errors.js'

/** Throws StorageFullError when a filesystem has less than `least` bytes free. */
export async function checkFreeSpace(folder: string, least: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const found = bavail * bsize
  if (found >= least) return
  throw new StorageFullError(
    `too little space is free: expected at least ${least} bytes, found ${found}`,
    { limit: least, found, unit: 'bytes' },
  )
}
