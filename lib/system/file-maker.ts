import { constants } from 'node:fs'
import { findFunction } from './libc.js'

const newFile =
  constants.O_WRONLY |
  constants.O_CREAT |
  constants.O_EXCL |
  constants.O_NOFOLLOW |
  // O_CLOEXEC, which node:fs does not name.
  0o2000000

// UTIME_OMIT of the kernel.
const omit = 0x3fff_fffen

type NativeCalls = {
  readonly openat: (
    folder: number,
    name: Uint8Array,
    flags: number,
    mode: number,
  ) => number
  readonly unlinkat: (folder: number, name: Uint8Array, flags: number) => number
  readonly close: (fd: number) => number
  readonly futimens: (fd: number, times: Buffer) => number
}

/**
 * The calls of an inner loop that makes files, as far as node:fs lacks them: they answer
 * that they failed instead of throwing.
 */
export class FileMaker {
  readonly #native: NativeCalls
  readonly #times = Buffer.alloc(32)

  private constructor(native: NativeCalls) {
    this.#native = native
    this.#times.writeBigInt64LE(omit, 8)
  }

  /** Finds them; undefined where the platform lacks one. */
  static find(): FileMaker | undefined {
    const openat = findFunction(
      'int openat(int folder, const void *name, int flags, unsigned int mode)',
    )
    const unlinkat = findFunction('int unlinkat(int folder, const void *name, int flags)')
    const futimens = findFunction('int futimens(int fd, const void *times)')
    const close = findFunction('int close(int fd)')
    if (!openat || !unlinkat || !futimens || !close) return undefined
    return new FileMaker({ openat, unlinkat, futimens, close })
  }

  /**
   * Makes a file in an open folder, and opens it for writing; -1 on failure.
   *
   * @param name - ends in a NUL; what follows does not count
   * @param mode - less the umask
   */
  create(folder: number, name: Uint8Array, mode: number): number {
    return this.#native.openat(folder, name, newFile, mode)
  }

  /** Closes what create opened: node:fs warns of a descriptor that it did not open. */
  close(fd: number): void {
    this.#native.close(fd)
  }

  /** Removes a file of an open folder; the name is as for create. */
  remove(folder: number, name: Uint8Array): boolean {
    return this.#native.unlinkat(folder, name, 0) === 0
  }

  /** Sets the modification time of an open file and leaves its access time alone. */
  setTime(fd: number, seconds: number, nanoseconds: number): boolean {
    this.#times.writeBigInt64LE(BigInt(seconds), 16)
    this.#times.writeUInt32LE(nanoseconds, 24)
    return this.#native.futimens(fd, this.#times) === 0
  }
}
