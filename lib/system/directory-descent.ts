import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readlinkSync,
  statSync,
} from 'node:fs'
import { SourceChangedError } from '../errors.js'
import { DirectCalls } from './direct-calls.js'
import { isErrno } from './errno.js'

const flags = constants.O_RDONLY | constants.O_DIRECTORY
const slash = Buffer.from('/')
const parent = Buffer.from('..')

let directCalls: DirectCalls | undefined

function calls(): DirectCalls | undefined {
  directCalls ??= DirectCalls.find()
  return directCalls
}

type Level = {
  fd: number | undefined
  /** What stands in front of a name for system calls; ends in a slash. */
  prefix: Buffer
  readonly device: bigint
  readonly inode: bigint
}

/** How a DirectoryDescent works. */
export type DescentOptions = {
  /** Directories that stay open at once. */
  readonly window?: number
  /**
   * `descriptors`: through /proc, as described above; the default where /proc
   * shows them.
   * `paths`: by joined paths, for other platforms: bound by PATH_MAX, and a folder above
   * the innermost that is swapped for a link meanwhile would be followed.
   */
  readonly addressing?: 'descriptors' | 'paths'
}

/** An open directory, kept for later; disposing closes it. */
export class KeptFolder implements Disposable {
  readonly fd: number
  readonly #prefix: Buffer
  #isClosed = false

  /** @param fd - this object's from now on
   *  @param prefix - what stands in front of a name for system calls */
  constructor(fd: number, prefix: Buffer) {
    this.fd = fd
    this.#prefix = prefix
  }

  /** A path for system calls on one name in it. */
  path(name: Uint8Array): Buffer {
    return Buffer.concat([this.#prefix, name])
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.fd)
  }
}

/**
 * A way down into a folder, one open directory a level.
 *
 * Every path it gives out starts at the innermost open directory, so that no call walks
 * through a name that could have been swapped for a link, and no path grows longer than
 * one name, however deep the tree is. At most `window` directories stay open; one further
 * up is opened again through `..` and must be the same inode as before.
 */
export class DirectoryDescent implements Disposable {
  readonly #levels: Level[] = []
  readonly #window: number
  readonly #descriptors: string | undefined

  /** Opens the outermost folder; its own last link is followed. */
  constructor(folder: string | Buffer, options: DescentOptions = {}) {
    const { window = 64, addressing } = options
    this.#window = Math.max(1, window)
    const path = Buffer.from(folder)
    const fd = openSync(path, flags)
    this.#descriptors = addressing === 'paths' ? undefined : findDescriptorFolder(fd)
    this.#push(fd, path)
  }

  /** Levels below the outermost folder. */
  get depth(): number {
    return this.#levels.length - 1
  }

  /** The descriptor of the innermost directory; it stays this object's. */
  get fd(): number {
    const fd = this.#levels.at(-1)?.fd
    if (fd === undefined) throw closed()
    return fd
  }

  /** A path for system calls on one name in the innermost directory. */
  path(name: Uint8Array): Buffer {
    const { prefix } = this.#innermost()
    const path = Buffer.allocUnsafe(prefix.length + name.length)
    path.set(prefix)
    path.set(name, prefix.length)
    return path
  }

  /** A path for system calls on the innermost directory itself. */
  get here(): Buffer {
    // A lone slash stays: it is the outermost folder "/" by its path.
    const { prefix } = this.#innermost()
    return prefix.length === 1 ? prefix : prefix.subarray(0, -1)
  }

  /** Whether keep() works here. */
  get canKeep(): boolean {
    return this.#descriptors !== undefined && calls() !== undefined
  }

  /** Keeps the innermost directory open beside the descent; the caller closes it. */
  keep(): KeptFolder {
    const fd = calls()?.duplicate(this.fd) ?? -1
    // Whatever it was, opening it in the other way meets it too, or works.
    const own = fd === -1 ? openSync(this.here, flags) : fd
    return new KeptFolder(own, this.#prefix(own, this.here))
  }

  /** Goes into a directory; throws the system's error, ELOOP or ENOTDIR for a link. */
  enter(name: Uint8Array): void {
    const path = this.path(name)
    this.#push(openSync(path, flags | constants.O_NOFOLLOW), path)
    const outer = this.#levels.at(-1 - this.#window)
    if (outer?.fd !== undefined) {
      closeSync(outer.fd)
      outer.fd = undefined
    }
  }

  /**
   * Goes back up; throws SourceChangedError when the way up has been moved elsewhere.
   *
   * @param finish - called with the innermost directory's descriptor once the way up is
   *   open: what takes the permission to search the directory away belongs here
   */
  leave(finish?: (fd: number) => void): void {
    const fd = this.#openWayUp()
    finish?.(fd)
    this.#levels.pop()
    closeSync(fd)
  }

  /** Goes back up, as leave does, and hands the directory over, open: the caller's. */
  release(): number {
    const fd = this.#openWayUp()
    this.#levels.pop()
    return fd
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#levels.splice(0)) if (fd !== undefined) closeSync(fd)
  }

  // The descriptor of the innermost directory.
  #openWayUp(): number {
    const inner = this.#levels.at(-1)
    const outer = this.#levels.at(-2)
    if (inner?.fd === undefined || outer === undefined) {
      throw new Error('leave without enter')
    }
    if (outer.fd === undefined) this.#reopen(outer)
    return inner.fd
  }

  #push(fd: number, path: Buffer): void {
    const { dev, ino } = fstatSync(fd, { bigint: true })
    this.#levels.push({ fd, device: dev, inode: ino, prefix: this.#prefix(fd, path) })
  }

  // The innermost directory is open, so its own ".." is the way up even where the path
  // to it no longer is.
  #reopen(level: Level): void {
    const path = this.path(parent)
    const fd = openSync(path, flags)
    const { dev, ino } = fstatSync(fd, { bigint: true })
    if (dev !== level.device || ino !== level.inode) {
      closeSync(fd)
      throw new SourceChangedError('a folder was moved while it was walked')
    }
    level.fd = fd
    if (this.#descriptors !== undefined) level.prefix = this.#prefix(fd, path)
  }

  #prefix(fd: number, path: Buffer): Buffer {
    if (this.#descriptors !== undefined) return Buffer.from(`${this.#descriptors}${fd}/`)
    return path.at(-1) === slash[0] ? path : Buffer.concat([path, slash])
  }

  #innermost(): Level {
    const level = this.#levels.at(-1)
    if (level === undefined) throw closed()
    return level
  }
}

/** Whether open directories can be addressed through /proc, as DirectoryDescent does. */
export function hasProcFolder(): boolean {
  return existsSync('/proc/self/fd')
}

/** Joins a folder and a name as bytes. */
export function joinPath(folder: Uint8Array, name: Uint8Array): Buffer {
  return Buffer.concat([folder, slash, name])
}

// What /proc/self points to is read once: the kernel would follow that link on each call.
// A process that has changed its user may not look into its own folder there.
function findDescriptorFolder(fd: number): string | undefined {
  try {
    const folder = `/proc/${readlinkSync('/proc/self')}/fd/`
    const found = statSync(`${folder}${fd}`, { bigint: true })
    const { dev, ino } = fstatSync(fd, { bigint: true })
    return found.dev === dev && found.ino === ino ? folder : undefined
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'ENOTDIR')) return undefined
    throw error
  }
}

function closed(): Error {
  return new Error('the descent is closed')
}
