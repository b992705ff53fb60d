import { chmodSync, lstatSync, renameSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { InvalidArgumentError, LockBusyError } from '../../lib/errors.js'
import { isErrno } from '../../lib/system/errno.js'

// What the system takes as the name of a socket, with the byte that ends it.
const maxPathBytes = 107
const mode = 0o660

/**
 * The place of a socket: what a dead server left there is replaced, nothing else is.
 *
 * The socket is made under another name, and gets its own when its mode is right: whoever
 * can connect is root here.
 */
export class SocketPlace {
  readonly path: string
  /** Where to make the socket first. */
  readonly temporary: string
  #inode: bigint | undefined

  private constructor(path: string) {
    this.path = path
    this.temporary = join(dirname(path), `.${process.pid}.sock`)
  }

  /**
   * Looks whether a socket may be made; throws LockBusyError where a server listens,
   * InvalidArgumentError where something else is, or for a name that is too long.
   */
  static async find(path: string): Promise<SocketPlace> {
    const place = new SocketPlace(resolve(path))
    for (const name of [place.path, place.temporary]) {
      const length = Buffer.byteLength(name)
      if (length <= maxPathBytes) continue
      throw new InvalidArgumentError(
        `the path of the socket is too long: expected at most ${maxPathBytes} bytes, found ${length}: ${name}`,
        { path: name, expected: maxPathBytes, found: length },
      )
    }
    await place.#check()
    removeIfThere(place.temporary)
    return place
  }

  /** Gives the socket that was made its name and its mode. */
  take(): void {
    chmodSync(this.temporary, mode)
    this.#inode = lstatSync(this.temporary, { bigint: true }).ino
    renameSync(this.temporary, this.path)
  }

  /** Removes the socket, unless another server has taken the place meanwhile. */
  leave(): void {
    const found = lstatSync(this.path, { bigint: true, throwIfNoEntry: false })
    if (found !== undefined && found.ino === this.#inode) removeIfThere(this.path)
    removeIfThere(this.temporary)
  }

  async #check(): Promise<void> {
    const found = lstatSync(this.path, { throwIfNoEntry: false })
    if (found === undefined) return
    if (!found.isSocket()) {
      throw new InvalidArgumentError(`${this.path} exists, and is no socket`, {
        path: this.path,
      })
    }
    if (!(await isListening(this.path))) return
    throw new LockBusyError(`a server listens at ${this.path} already`, {
      path: this.path,
      lock: 'snapshotter',
    })
  }
}

async function isListening(path: string): Promise<boolean> {
  return new Promise((done, fail) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      done(true)
    })
    socket.once('error', error => {
      if (isErrno(error, 'ECONNREFUSED', 'ENOENT')) done(false)
      else fail(error)
    })
  })
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}
