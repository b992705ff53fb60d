import { constants, openSync, readSync } from 'node:fs'
import type { ObjectLink } from '../../object/descriptor.js'
import { writeFully } from '../../system/file-calls.js'
import type { AsidePayload } from '../payload-writer.js'
import { writeFailure } from '../storage-full.js'
import type { PackCalls } from './pack-calls.js'

const chunkBytes = 1024 * 1024

/** What a spooled payload needs of its session. */
export type SpoolOwner = {
  commit(link: ObjectLink, chunks: Iterable<Buffer>): Promise<void>
  forget(payload: SpooledPayload): void
}

/** A payload of unknown size, or without its children yet, in a file of a session. */
export class SpooledPayload implements AsidePayload {
  readonly #calls: PackCalls
  readonly #path: string
  readonly #owner: SpoolOwner
  #fd: number | undefined
  #isOurs = true

  constructor(calls: PackCalls, path: string, owner: SpoolOwner) {
    this.#calls = calls
    this.#path = path
    this.#owner = owner
    this.#fd = calls.create(path)
  }

  write(bytes: Uint8Array): void {
    if (this.#fd === undefined) throw new Error('the session is closed')
    try {
      writeFully(this.#calls, this.#fd, bytes)
    } catch (error) {
      throw writeFailure(error, this.#path)
    }
  }

  end(): void {
    if (this.#fd === undefined) return
    this.#calls.close(this.#fd)
    this.#fd = undefined
  }

  async commit(link: ObjectLink): Promise<void> {
    if (!this.#isOurs) throw new Error('the session is closed')
    this.end()
    await this.#owner.commit(link, this.#chunks())
    this.discard()
  }

  discard(): void {
    this.end()
    if (!this.#isOurs) return
    this.#isOurs = false
    this.#owner.forget(this)
    this.#calls.unlink(this.#path)
  }

  *#chunks(): Generator<Buffer> {
    const fd = openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      for (;;) {
        const chunk = Buffer.allocUnsafe(chunkBytes)
        const count = readSync(fd, chunk, 0, chunkBytes, null)
        if (count === 0) return
        yield chunk.subarray(0, count)
      }
    } finally {
      this.#calls.close(fd)
    }
  }
}
