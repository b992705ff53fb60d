import { dirname } from 'node:path'
import { isErrno } from '../system/errno.js'
import { type FileCalls, writeFully } from '../system/file-calls.js'

/**
 * Puts `bytes` in place of a file, durably, or leaves the old one: a temporary file is
 * written and synced, renamed over it, and the folder synced.
 *
 * The caller keeps other writers away from `temporary`, which lies on the same filesystem;
 * what a crash left there is overwritten. When only the last sync fails, the new file is
 * there, but may not survive a power loss.
 */
export async function replaceFile(
  path: string,
  bytes: Uint8Array,
  { temporary, calls }: { temporary: string; calls: FileCalls },
): Promise<void> {
  removeIfThere(temporary, calls)
  try {
    await writeNewFile(temporary, bytes, calls)
    calls.rename(temporary, path)
  } catch (error) {
    discard(temporary, calls)
    throw error
  }
  await syncPath(dirname(path), calls)
}

/**
 * Puts what a stream gives in place of a file, durably, or leaves the old one; as
 * replaceFile.
 */
export async function replaceFileWith(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  { temporary, calls }: { temporary: string; calls: FileCalls },
): Promise<void> {
  const fd = calls.create(temporary)
  try {
    try {
      for await (const chunk of chunks) writeFully(calls, fd, chunk)
      await calls.sync(fd)
    } finally {
      calls.close(fd)
    }
    calls.rename(temporary, path)
  } catch (error) {
    discard(temporary, calls)
    throw error
  }
  await syncPath(dirname(path), calls)
}

/** Makes a new file and syncs its bytes, not its name. */
export async function writeNewFile(
  path: string,
  bytes: Uint8Array,
  calls: FileCalls,
): Promise<void> {
  const fd = calls.create(path)
  try {
    writeFully(calls, fd, bytes)
    await calls.sync(fd)
  } finally {
    calls.close(fd)
  }
}

/** Removes a file; false when there was none. */
export function removeIfThere(path: string, calls: FileCalls): boolean {
  try {
    calls.unlink(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

/** Makes a folder, and those above it, with every new name durable. */
export async function ensureFolder(path: string, calls: FileCalls): Promise<void> {
  const first = calls.makeFolder(path)
  if (first === undefined) return
  const end = dirname(first)
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    await syncPath(parent, calls)
    if (parent === end) return
  }
}

/** Makes a file's bytes, or the names in a folder, durable. */
export async function syncPath(path: string, calls: FileCalls): Promise<void> {
  const fd = calls.open(path)
  try {
    await calls.sync(fd)
  } finally {
    calls.close(fd)
  }
}

function discard(path: string, calls: FileCalls): void {
  try {
    calls.unlink(path)
  } catch {
    // The first failure is the one to report, and the next writer overwrites what is left.
  }
}
