import { bind, hasNativeCalls } from './libc.js'

const posixFallocate = bind<[number, number, number]>(
  'posix_fallocate',
  'int posix_fallocate(int fd, int64_t offset, int64_t length)',
)

/**
 * Claims room on disk for an open file, whose bytes are zeros; false where the room, or
 * the call, is not there.
 */
export function allocate(fd: number, bytes: number): boolean {
  return hasNativeCalls() && posixFallocate(fd, 0, bytes) === 0
}
