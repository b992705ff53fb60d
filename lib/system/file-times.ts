import { bind, cString } from './libc.js'

const futimens = bind<[number, Buffer]>(
  'futimens',
  'int futimens(int fd, const uint8_t *times)',
)
const utimensat = bind<[number, Buffer, Buffer, number]>(
  'utimensat',
  'int utimensat(int folder, const uint8_t *path, const uint8_t *times, int flags)',
)

// AT_FDCWD, AT_SYMLINK_NOFOLLOW and UTIME_OMIT of the kernel.
const currentFolder = -100
const noFollow = 0x100
const omit = 0x3fff_fffen
const billion = 1_000_000_000n

/**
 * Sets the modification time to the nanosecond and leaves the access time alone.
 *
 * @param target - an open file, or an absolute path whose last link is not followed
 */
export function setModificationTime(
  target: Uint8Array | number,
  seconds: bigint,
  nanoseconds: number,
): void {
  const times = Buffer.alloc(32)
  times.writeBigInt64LE(omit, 8)
  times.writeBigInt64LE(seconds, 16)
  times.writeBigInt64LE(BigInt(nanoseconds), 24)
  if (typeof target === 'number') futimens(target, times)
  else utimensat(currentFolder, cString(target), times, noFollow)
}

/** Sets access and modification time, in nanoseconds since 1970-01-01 UTC. */
export function setTimes(
  target: Uint8Array | number,
  { accessed, modified }: { readonly accessed: bigint; readonly modified: bigint },
): void {
  const times = Buffer.alloc(32)
  writeTime(times, 0, accessed)
  writeTime(times, 16, modified)
  if (typeof target === 'number') futimens(target, times)
  else utimensat(currentFolder, cString(target), times, noFollow)
}

// Nanoseconds count up from the second before, also before 1970.
function writeTime(times: Buffer, offset: number, time: bigint): void {
  const nanoseconds = ((time % billion) + billion) % billion
  times.writeBigInt64LE((time - nanoseconds) / billion, offset)
  times.writeBigInt64LE(nanoseconds, offset + 8)
}
