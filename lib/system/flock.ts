import { isErrno } from './errno.js'
import { bind } from './libc.js'

const flock = bind<[number, number]>('flock', 'int flock(int fd, int operation)')

const operations = { shared: 1, exclusive: 2, unlock: 8 } as const
const nonBlocking = 4

/**
 * Takes a flock(2) on an open descriptor without waiting; false when another holds it.
 *
 * The lock belongs to the open file: it ends when the last descriptor of it is closed.
 */
export function tryLock(fd: number, mode: 'shared' | 'exclusive'): boolean {
  try {
    flock(fd, operations[mode] | nonBlocking)
    return true
  } catch (error) {
    if (isErrno(error, 'EWOULDBLOCK', 'EAGAIN')) return false
    throw error
  }
}

/** Releases a lock that this descriptor's open file holds. */
export function unlock(fd: number): void {
  flock(fd, operations.unlock)
}
