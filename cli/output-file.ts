import { randomBytes } from 'node:crypto'
import { lstatSync, rmSync } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'

/**
 * A file that a command writes: it gets its name when it is finished.
 *
 * A pipe or a device is written as it stands. Disposing removes what was not finished.
 */
export class OutputFile implements AsyncDisposable {
  readonly #path: string
  readonly #temporary: string | undefined
  readonly #handle: FileHandle
  #closed = false
  #finished = false

  private constructor(path: string, temporary: string | undefined, handle: FileHandle) {
    this.#path = path
    this.#temporary = temporary
    this.#handle = handle
  }

  /** Opens one; throws the system's error. */
  static async create(path: string): Promise<OutputFile> {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found !== undefined && !found.isFile()) {
      return new OutputFile(path, undefined, await open(path, 'w'))
    }
    const temporary = `${path}.cairn-${randomBytes(4).toString('hex')}`
    return new OutputFile(path, temporary, await open(temporary, 'wx'))
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const { bytesWritten } = await this.#handle.write(rest)
      rest = rest.subarray(bytesWritten)
    }
  }

  /** Makes it durable and gives it its name. */
  async finish(): Promise<void> {
    if (this.#temporary !== undefined) await this.#handle.sync()
    await this.#close()
    if (this.#temporary !== undefined) await rename(this.#temporary, this.#path)
    this.#finished = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
    if (this.#finished || this.#temporary === undefined) return
    rmSync(this.#temporary, { force: true })
  }

  async #close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#handle.close()
  }
}
