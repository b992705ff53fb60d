import { statfs } from 'node:fs/promises'
import { StorageFullError } from '../lib/errors.js'

const usualBytes = 64 * 1024 * 1024

/**
 * Throws StorageFullError when a filesystem has less than `wanted` bytes free; by default
 * 64 MiB, or a 64th of a small filesystem.
 */
export async function checkFreeSpace(
  folder: string,
  wanted: number | undefined,
): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(folder)
  const least = wanted ?? Math.min(usualBytes, Math.floor((blocks * bsize) / 64))
  const found = bavail * bsize
  if (found >= least) return
  throw new StorageFullError(
    `too little space is free: expected at least ${least} bytes, found ${found}`,
    { limit: least, found, unit: 'bytes' },
  )
}
