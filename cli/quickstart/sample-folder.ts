import { accessSync, constants, type Dirent, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { RefNotFoundError } from '../../lib/errors.js'
import { isErrno } from '../../lib/system/errno.js'

// System folders, those that every installation has before those that fit better.
const candidates = [
  '/usr/bin',
  '/usr/share/perl',
  '/usr/lib/git-core',
  '/usr/share/locale',
  '/usr/share/doc',
  '/usr/sbin',
  '/usr/lib/x86_64-linux-gnu/perl-base',
  '/usr/share/zoneinfo',
  '/usr/lib',
  '/usr/share',
]

const mebibyte = 1024 * 1024
const smallest = 10 * mebibyte
const largest = 100 * mebibyte
const mostEntries = 20_000

/** Chooses a system folder of some tens of MB, or the largest one below that. */
export function findSampleFolder(): string {
  let best: { folder: string; bytes: number } | undefined
  for (const folder of candidates) {
    const bytes = measure(folder)
    if (bytes === undefined || bytes === 0) continue
    if (bytes >= smallest) return folder
    if (best === undefined || bytes > best.bytes) best = { folder, bytes }
  }
  if (best === undefined) {
    throw new RefNotFoundError(
      `no system folder to show: expected one of ${candidates.join(', ')} with at most ` +
        `${largest / mebibyte} MiB; name another as PATH`,
    )
  }
  return best.folder
}

/** Bytes of the files below a folder; undefined when absent, unreadable or too large. */
function measure(folder: string): number | undefined {
  let bytes = 0
  let entries = 0
  const folders = [folder]
  for (let here = folders.pop(); here !== undefined; here = folders.pop()) {
    const found = findEntries(here)
    if (found === undefined) return undefined
    entries += found.length
    for (const entry of found) {
      if (entry.isDirectory()) folders.push(join(here, entry.name))
      else if (entry.isFile()) {
        const path = join(here, entry.name)
        if (!isReadable(path)) return undefined
        bytes += lstatSync(path).size
      }
    }
    if (bytes > largest || entries > mostEntries) return undefined
  }
  return bytes
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return true
  } catch (error) {
    if (isErrno(error, 'EACCES')) return false
    throw error
  }
}

function findEntries(folder: string): Dirent[] | undefined {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined
    throw error
  }
}
