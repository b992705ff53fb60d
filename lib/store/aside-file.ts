import type { ObjectLink } from '../object/descriptor.js'
import { type ObjectType, objectTypeByte } from '../object/object-type.js'
import { type FileCalls, writeFully } from '../system/file-calls.js'
import type { AsidePayload } from './payload-writer.js'
import { writeFailure } from './storage-full.js'

/** The session that an AsideFile belongs to. */
export interface AsideOwner {
  /** Moves the file at a path among the committed objects, or removes it. */
  commitFile(path: string, type: ObjectType, link: ObjectLink): Promise<void>
  /** An aside has closed its file, and will not touch it any more. */
  forgetAside(aside: AsideFile): void
}

/** A payload kept aside in a file of a loose session. */
export class AsideFile implements AsidePayload {
  readonly #calls: FileCalls
  readonly #path: string
  readonly #type: ObjectType
  readonly #owner: AsideOwner
  #fd: number | undefined
  #isOurs = true

  constructor(calls: FileCalls, path: string, type: ObjectType, owner: AsideOwner) {
    this.#calls = calls
    this.#path = path
    this.#type = type
    this.#owner = owner
    this.#fd = calls.create(path)
    try {
      this.write(Buffer.from([objectTypeByte(type)]))
    } catch (error) {
      this.discard()
      throw error
    }
  }

  write(bytes: Uint8Array): void {
    if (this.#fd === undefined) throw new Error('the session is closed')
    try {
      writeFully(this.#calls, this.#fd, bytes)
    } catch (error) {
      throw writeFailure(error, `a ${this.#type} that is put aside`)
    }
  }

  end(): void {
    if (this.#fd === undefined) return
    const fd = this.#fd
    this.#fd = undefined
    this.#calls.close(fd)
  }

  async commit(link: ObjectLink): Promise<void> {
    if (!this.#isOurs) throw new Error('the session is closed')
    this.end()
    this.#letGo()
    await this.#owner.commitFile(this.#path, this.#type, link)
  }

  discard(): void {
    this.end()
    if (!this.#isOurs) return
    this.#letGo()
    this.#calls.unlink(this.#path)
  }

  /** Closes the file and leaves it to the session to remove. */
  leave(): void {
    this.end()
    this.#letGo()
  }

  #letGo(): void {
    this.#isOurs = false
    this.#owner.forgetAside(this)
  }
}
