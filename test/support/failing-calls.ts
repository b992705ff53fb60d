import { type FileCalls, systemFileCalls as system } from '../../lib/system/file-calls.js'

/** File calls of which one fails. */
export type FailingCalls = {
  readonly calls: FileCalls
  /** The name of the call that failed; undefined while none has. */
  readonly failed: () => string | undefined
}

/**
 * The system's file calls, of which the nth that can fail throws EIO, before it has done
 * anything; a write writes half first.
 */
export function failingCalls(nth: number): FailingCalls {
  let count = 0
  let failed: string | undefined
  const fails = (name: string): boolean => {
    count++
    if (count === nth) failed = name
    return count === nth
  }
  const guard = <Result>(name: string, call: () => Result): Result => {
    if (fails(name)) throw failure(name)
    return call()
  }
  return {
    failed: () => failed,
    calls: {
      ...system,
      create: path => guard('create', () => system.create(path)),
      open: path => guard('open', () => system.open(path)),
      openLog: path => guard('openLog', () => system.openLog(path)),
      truncate: (fd, size) => guard('truncate', () => system.truncate(fd, size)),
      rename: (from, to) => guard('rename', () => system.rename(from, to)),
      unlink: path => guard('unlink', () => system.unlink(path)),
      makeFolder: path => guard('makeFolder', () => system.makeFolder(path)),
      sync: async fd => guard('sync', () => system.sync(fd)),
      syncFilesystem: async fd =>
        guard('syncFilesystem', () => system.syncFilesystem(fd)),
      write: (fd, bytes) => {
        if (!fails('write')) return system.write(fd, bytes)
        system.write(fd, bytes.subarray(0, bytes.length / 2))
        throw failure('write')
      },
    },
  }
}

function failure(syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`EIO: ${syscall}`), { code: 'EIO', errno: -5, syscall })
}
