import { closeSync, constants, existsSync, fstatSync, openSync } from 'node:fs'
import { SourceChangedError } from '../errors.js'

const flags = constants.O_RDONLY | constants.O_DIRECTORY
const slash = Buffer.from('/')

type Level = { fd: number | undefined; readonly device: bigint; readonly inode: bigint }

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

  /** Opens the outermost folder; its own last link is followed. */
  constructor(folder: string | Buffer, { window = 64 }: { window?: number } = {}) {
    this.#window = window
    this.#push(openSync(folder, flags))
  }

  /** Levels below the outermost folder. */
  get depth(): number {
    return this.#levels.length - 1
  }

  /** The descriptor of the innermost directory; it stays this object's. */
  get fd(): number {
    const fd = this.#levels.at(-1)?.fd
    if (fd === undefined) throw new Error('the descent is closed')
    return fd
  }

  /** A path for system calls on one name in the innermost directory. */
  path(name: Uint8Array): Buffer {
    return Buffer.concat([this.#prefix(), name])
  }

  /** A path for system calls on the innermost directory itself. */
  get here(): Buffer {
    return this.#prefix().subarray(0, -1)
  }

  /** Goes into a directory; throws the system's error, ELOOP or ENOTDIR for a link. */
  enter(name: Uint8Array): void {
    this.#push(openSync(this.path(name), flags | constants.O_NOFOLLOW))
    const outer = this.#levels.at(-1 - this.#window)
    if (outer?.fd !== undefined) {
      closeSync(outer.fd)
      outer.fd = undefined
    }
  }

  /** Goes back up; throws SourceChangedError when the way up has been moved elsewhere. */
  leave(): void {
    const inner = this.#levels.at(-1)
    const outer = this.#levels.at(-2)
    if (inner?.fd === undefined || outer === undefined) {
      throw new Error('leave without enter')
    }
    if (outer.fd === undefined) this.#reopen(outer)
    this.#levels.pop()
    closeSync(inner.fd)
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#levels.splice(0)) if (fd !== undefined) closeSync(fd)
  }

  #push(fd: number): void {
    const { dev, ino } = fstatSync(fd, { bigint: true })
    this.#levels.push({ fd, device: dev, inode: ino })
  }

  #reopen(level: Level): void {
    const fd = openSync(this.path(Buffer.from('..')), flags)
    const { dev, ino } = fstatSync(fd, { bigint: true })
    if (dev !== level.device || ino !== level.inode) {
      closeSync(fd)
      throw new SourceChangedError('a folder was moved while it was walked')
    }
    level.fd = fd
  }

  #prefix(): Buffer {
    return Buffer.from(`/proc/self/fd/${this.fd}/`)
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
