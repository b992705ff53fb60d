import type { TarEntry } from './tar-entry.js'
import { paddingOf } from './tar-format.js'
import { encodeTarEntry, endOfArchive } from './tar-writer.js'

/** Takes the bytes of an archive in order; they stay the writer's when it settles. */
export type WriteBytes = (bytes: Uint8Array) => Promise<void>

const bufferBytes = 256 * 1024

/** Writes entries and contents behind each other, in large pieces. */
export class TarSink {
  readonly #write: WriteBytes
  readonly #buffer = Buffer.allocUnsafe(bufferBytes)
  #used = 0
  #missing = 0
  #padding = 0

  constructor(write: WriteBytes) {
    this.#write = write
  }

  /** Starts an entry; its content must follow whole. */
  async entry(entry: TarEntry): Promise<void> {
    await this.#endContent()
    await this.#add(encodeTarEntry(entry))
    this.#missing = entry.size
    this.#padding = paddingOf(entry.size)
  }

  async content(bytes: Uint8Array): Promise<void> {
    this.#missing -= bytes.length
    await this.#add(bytes)
  }

  /** Ends the archive. */
  async end(): Promise<void> {
    await this.#endContent()
    await this.#add(endOfArchive)
    await this.#flush()
  }

  async #endContent(): Promise<void> {
    if (this.#missing !== 0) {
      throw new Error(`the content of an entry differs from its size by ${this.#missing}`)
    }
    if (this.#padding > 0) await this.#add(Buffer.alloc(this.#padding))
    this.#padding = 0
  }

  async #add(bytes: Uint8Array): Promise<void> {
    if (this.#used + bytes.length > bufferBytes) await this.#flush()
    if (bytes.length > bufferBytes) {
      await this.#write(bytes)
      return
    }
    this.#buffer.set(bytes, this.#used)
    this.#used += bytes.length
  }

  async #flush(): Promise<void> {
    if (this.#used === 0) return
    await this.#write(this.#buffer.subarray(0, this.#used))
    this.#used = 0
  }
}
