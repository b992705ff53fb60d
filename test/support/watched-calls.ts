import { type PackCalls, systemPackCalls } from '../../lib/store/pack/pack-calls.js'
import { type FileCalls, systemFileCalls } from '../../lib/system/file-calls.js'

/** One call of a FileCalls, before it is made. */
type WatchedCall = {
  readonly name: Exclude<keyof FileCalls, 'canSyncFilesystem'>
  /** What it works on: the path, or the path that its descriptor was opened with. */
  readonly path: string
  /** Where a rename leads. */
  readonly to?: string
}

/** Sees each call first: throws to fail it, answers `short` to let it write less. */
export type CallWatcher = (call: WatchedCall) => 'short' | undefined

/**
 * The system's calls behind a watcher. Syncs are only told to the watcher, so that a
 * test may ask for thousands.
 */
export function watchedCalls(
  watch: CallWatcher,
  { filesystemSync }: { filesystemSync: boolean },
): PackCalls {
  const paths = new Map<number, string>()
  const pathOf = (fd: number) => paths.get(fd) ?? `descriptor ${fd}`
  const opened = (path: string, fd: number) => {
    paths.set(fd, path)
    return fd
  }
  return {
    create: path => {
      watch({ name: 'create', path })
      return opened(path, systemFileCalls.create(path))
    },
    open: path => {
      watch({ name: 'open', path })
      return opened(path, systemFileCalls.open(path))
    },
    openLog: path => {
      watch({ name: 'openLog', path })
      return opened(path, systemFileCalls.openLog(path))
    },
    truncate: (fd, size) => {
      watch({ name: 'truncate', path: pathOf(fd) })
      systemFileCalls.truncate(fd, size)
    },
    write: (fd, bytes) => {
      const isShort = watch({ name: 'write', path: pathOf(fd) }) === 'short'
      const length = isShort ? Math.ceil(bytes.length / 2) : bytes.length
      return systemFileCalls.write(fd, bytes.subarray(0, length))
    },
    writeAt: (fd, bytes, position) => {
      const isShort = watch({ name: 'write', path: pathOf(fd) }) === 'short'
      const length = isShort ? Math.ceil(bytes.length / 2) : bytes.length
      return systemPackCalls.writeAt(fd, bytes.subarray(0, length), position)
    },
    close: fd => {
      // As with close(2), the descriptor is gone when closing it fails.
      systemFileCalls.close(fd)
      watch({ name: 'close', path: pathOf(fd) })
    },
    rename: (path, to) => {
      watch({ name: 'rename', path, to })
      systemFileCalls.rename(path, to)
    },
    unlink: path => {
      watch({ name: 'unlink', path })
      systemFileCalls.unlink(path)
    },
    makeFolder: path => {
      watch({ name: 'makeFolder', path })
      return systemFileCalls.makeFolder(path)
    },
    sync: async fd => {
      watch({ name: 'sync', path: pathOf(fd) })
    },
    canSyncFilesystem: () => filesystemSync,
    syncFilesystem: async fd => {
      watch({ name: 'syncFilesystem', path: pathOf(fd) })
    },
  }
}

/** An error as node:fs throws it. */
export function systemError(code: string, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall })
}
