import { constants as fileConstants } from 'node:fs'
import { constants } from 'node:os'
import { findFunction, lastErrno } from './libc.js'

const openFlags =
  fileConstants.O_RDONLY |
  fileConstants.O_NOFOLLOW |
  fileConstants.O_NONBLOCK |
  fileConstants.O_NOCTTY |
  // O_CLOEXEC, which node:fs sets by itself and does not name.
  0o2000000
// F_DUPFD_CLOEXEC of Linux.
const duplicateAndCloseOnExec = 1030
const atEmptyPath = 0x1000
const atSymlinkNoFollow = 0x100
const emptyPath = Buffer.alloc(1)
const basicStats = 0x7ff
const maxNameBytes = 255

type NativeCalls = {
  readonly openat: (folder: number, name: Buffer, flags: number) => number
  readonly statx: (
    fd: number,
    path: Uint8Array,
    flags: number,
    mask: number,
    to: Buffer,
  ) => number
  readonly flistxattr: (fd: number, list: null, size: number) => number
  readonly read: (fd: number, to: Uint8Array, size: number) => number
  readonly fcntl: (fd: number, command: number, type: 'int', least: number) => number
  readonly close: (fd: number) => number
}

/**
 * System calls for inner loops: where those of node:fs throw, these answer that they
 * failed, and they make no objects.
 *
 * Whoever needs to know why one failed makes the call again through node:fs.
 */
export class DirectCalls {
  readonly #native: NativeCalls
  readonly #name = Buffer.alloc(maxNameBytes + 1)

  private constructor(native: NativeCalls) {
    this.#native = native
  }

  /** Finds them; undefined where the platform lacks one. */
  static find(): DirectCalls | undefined {
    const openat = findFunction('int openat(int folder, const void *name, int flags)')
    const statx = findFunction(
      'int statx(int fd, const void *path, int flags, unsigned int mask, void *to)',
    )
    const flistxattr = findFunction('int64_t flistxattr(int fd, void *list, size_t size)')
    const read = findFunction('int64_t read(int fd, void *to, size_t size)')
    const fcntl = findFunction('int fcntl(int fd, int command, ...)')
    const close = findFunction('int close(int fd)')
    if (!openat || !statx || !flistxattr || !read || !fcntl || !close) return undefined
    return new DirectCalls({ openat, statx, flistxattr, read, fcntl, close })
  }

  /** Opens a file of an open folder for reading, not following a link; -1 on failure. */
  openAt(folder: number, name: Uint8Array): number {
    return this.#setName(name) ? this.#native.openat(folder, this.#name, openFlags) : -1
  }

  /** As see, for an entry of an open folder; does not follow a link. */
  seeAt(folder: number, name: Uint8Array, state: FileState): boolean {
    if (!this.#setName(name)) return false
    const { bytes } = state
    const flags = atSymlinkNoFollow
    const result = this.#native.statx(folder, this.#name, flags, basicStats, bytes)
    return result === 0 && state.isWhole
  }

  /** Looks at an open file; false on failure, also where the filesystem knows only part. */
  see(fd: number, state: FileState): boolean {
    const { bytes } = state
    const result = this.#native.statx(fd, emptyPath, atEmptyPath, basicStats, bytes)
    return result === 0 && state.isWhole
  }

  /** Whether an open file has extended attributes, or may have some. */
  mayHaveXattrs(fd: number): boolean {
    const length = this.#native.flistxattr(fd, null, 0)
    if (length !== -1) return length > 0
    return lastErrno() !== constants.errno.EOPNOTSUPP
  }

  /** Fills a buffer from the current position; tells how many bytes came, -1 on failure. */
  read(fd: number, to: Uint8Array): number {
    return this.#native.read(fd, to, to.length)
  }

  /** Makes a second descriptor of an open file; -1 on failure. */
  duplicate(fd: number): number {
    return this.#native.fcntl(fd, duplicateAndCloseOnExec, 'int', 0)
  }

  close(fd: number): void {
    this.#native.close(fd)
  }

  #setName(name: Uint8Array): boolean {
    if (name.length > maxNameBytes || name.includes(0)) return false
    this.#name.set(name)
    this.#name[name.length] = 0
    return true
  }
}

// Places in struct statx, in words of four bytes.
const place = {
  mask: 0,
  links: 4,
  uid: 5,
  gid: 6,
  mode: 7,
  inode: 8,
  size: 10,
  changed: 24,
  modified: 28,
  device: 34,
} as const

// What tells one state of a file from another. The access time does not.
const compared = [
  place.mode,
  place.inode,
  place.inode + 1,
  place.size,
  place.size + 1,
  place.changed,
  place.changed + 1,
  place.changed + 2,
  place.modified,
  place.modified + 1,
  place.modified + 2,
  place.device,
  place.device + 1,
]

// As tellState tells it.
const told = [
  place.inode + 1,
  place.inode,
  place.size + 1,
  place.size,
  place.changed + 1,
  place.changed,
  place.changed + 2,
  place.modified + 1,
  place.modified,
  place.modified + 2,
]

/** Words that FileState.save keeps. */
export const savedWords = compared.length

/** What one look at a file saw; used again for the next. */
export class FileState {
  readonly #memory = new ArrayBuffer(256)
  readonly #words = new Uint32Array(this.#memory)
  readonly #halves = new Uint16Array(this.#memory)
  readonly #longs = new BigInt64Array(this.#memory)
  /** Room for the answer of the system, a struct statx. */
  readonly bytes = Buffer.from(this.#memory)

  /** Whether the filesystem told all that is asked of a state. */
  get isWhole(): boolean {
    return (this.#word(place.mask) & basicStats) === basicStats
  }

  /** As st_mode of stat(2). */
  get mode(): number {
    return this.#halves[2 * place.mode] ?? 0
  }

  get links(): number {
    return this.#word(place.links)
  }

  get uid(): number {
    return this.#word(place.uid)
  }

  get gid(): number {
    return this.#word(place.gid)
  }

  get size(): number {
    return this.#word(place.size) + this.#word(place.size + 1) * 2 ** 32
  }

  get modifiedSeconds(): bigint {
    return this.#longs[place.modified / 2] ?? 0n
  }

  get modifiedNanoseconds(): number {
    return this.#word(place.modified + 2)
  }

  /**
   * Tells inode, size, ctime and mtime in ten words, without a number for each: two and
   * two, then twice two for the seconds and one for the nanoseconds, high words first.
   */
  tellState(words: Uint32Array, start: number): void {
    for (let at = 0; at < told.length; at++) {
      words[start + at] = this.#word(told[at] ?? 0)
    }
  }

  /** The device that holds the filesystem: major number times 2^32, and minor number. */
  get device(): number {
    return this.#word(place.device) * 2 ** 32 + this.#word(place.device + 1)
  }

  /** Keeps in words what equals() compares and tellState() tells. */
  save(words: Uint32Array, start: number): void {
    for (let at = 0; at < compared.length; at++) {
      words[start + at] = this.#word(compared[at] ?? 0)
    }
  }

  /** Brings back what save() kept; nothing is known of the rest. */
  load(words: Uint32Array, start: number): void {
    for (let at = 0; at < compared.length; at++) {
      this.#words[compared[at] ?? 0] = words[start + at] ?? 0
    }
  }

  /** Whether another look saw the same file in the same state. */
  equals(other: FileState): boolean {
    for (const at of compared) if (this.#word(at) !== other.#word(at)) return false
    return true
  }

  #word(at: number): number {
    return this.#words[at] ?? 0
  }
}
