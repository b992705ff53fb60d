import {
  appendFileSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
} from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  ConnectionLostError,
  CorruptObjectError,
  IncompleteClosureError,
  InvalidObjectError,
} from '../../errors.js'
import { isErrno } from '../../system/errno.js'
import { packSuffix } from './pack-folder.js'
import { readPackStream, type StreamedPart } from './pack-stream-reader.js'
import type { Zstd } from './zstd.js'

const movedName = 'moved'
const chunkBytes = 1024 * 1024
const maxMovedBytes = 1024 * 1024
const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

/** Notes in a session's folder which of its packs were published. */
export function noteMoved(folder: string, names: readonly string[]): void {
  appendFileSync(join(folder, movedName), names.map(name => `${name}\n`).join(''))
}

/** What sessions that ended early left in a folder. */
export type LeftPacks = {
  /** Names of the packs that they published. */
  readonly moved: readonly string[]
  /** Packs that they did not publish, whole or not. */
  readonly paths: readonly string[]
  /** Their folders, to be removed when nothing of them is needed. */
  readonly folders: readonly string[]
}

/** Finds what sessions that kept their packs left in their folder. */
export async function findLeftPacks(folder: string): Promise<LeftPacks> {
  const moved: string[] = []
  const paths: string[] = []
  const folders: string[] = []
  for (const own of (await readdir(folder)).toSorted()) {
    if (!own.startsWith('packs-')) continue
    const path = join(folder, own)
    folders.push(path)
    moved.push(...(await readMoved(join(path, movedName))))
    const names = (await readdir(path)).filter(name => name.endsWith(packSuffix))
    paths.push(...names.map(name => join(path, name)))
  }
  return { moved, paths, folders }
}

/**
 * Gives what a left pack holds to `take`, each object verified, up to where writing it
 * stopped: whatever is torn or damaged ends the reading, since it can be had again.
 */
export async function readLeftPack(
  path: string,
  zstd: () => Promise<Zstd>,
  take: (parts: AsyncGenerator<StreamedPart>) => Promise<void>,
): Promise<void> {
  const options = { where: path, zstd, verify: 'digests' } as const
  try {
    await take(readPackStream(readChunks(path), options))
  } catch (error) {
    const isTorn =
      error instanceof ConnectionLostError ||
      error instanceof InvalidObjectError ||
      error instanceof CorruptObjectError ||
      error instanceof IncompleteClosureError
    if (!isTorn) throw error
  }
}

async function readMoved(path: string): Promise<string[]> {
  try {
    const text = (await readFile(path, 'latin1')).slice(0, maxMovedBytes)
    return text.split('\n').filter(name => /^[0-9a-f]{32}\.pack$/.test(name))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    if (!fstatSync(fd).isFile()) return
    for (;;) {
      const chunk = Buffer.allocUnsafe(chunkBytes)
      const length = readSync(fd, chunk, 0, chunk.length, null)
      if (length === 0) return
      yield chunk.subarray(0, length)
    }
  } finally {
    closeSync(fd)
  }
}
