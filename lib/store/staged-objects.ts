import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { ObjectLink } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { type ObjectType, objectTypeByte } from '../object/object-type.js'
import { type FileCalls, writeFully } from '../system/file-calls.js'
import { CommitLog } from './commit-log.js'
import { findObjectFile, isObjectFile } from './loose-file.js'
import type { ObjectInfo } from './object-store.js'

// Below this, copying a payload behind its type byte costs less than a second write.
const joinedBytes = 64 * 1024

/**
 * The objects that a loose session has committed and not published: each in a file named
 * by its digest, in a folder of their own.
 *
 * Up to a bound they are known in memory, beyond that by their files.
 */
export class StagedObjects {
  readonly #calls: FileCalls
  readonly #parent: string
  readonly #maxKnown: number
  readonly #joined = Buffer.allocUnsafe(1 + joinedBytes)
  readonly #known = new Map<Digest, ObjectInfo>()
  #folder: string | undefined
  #log: CommitLog | undefined
  #files = 0
  #hasForgotten = false

  /**
   * A folder is made below `parent` for the first object.
   *
   * @param maxKnown - how many objects may be known in memory
   */
  constructor(calls: FileCalls, parent: string, maxKnown: number) {
    this.#calls = calls
    this.#parent = parent
    this.#maxKnown = maxKnown
  }

  /** How many objects were committed since the last take(). */
  get length(): number {
    return this.#log?.length ?? 0
  }

  path(digest: Digest): string {
    return `${this.#ownFolder()}/${digest}`
  }

  /** A path in the folder that no object has. */
  newPath(): string {
    return `${this.#ownFolder()}/file-${this.#files++}`
  }

  find(digest: Digest): ObjectInfo | undefined {
    const info = this.#known.get(digest)
    if (info !== undefined || !this.#hasForgotten) return info
    return findObjectFile(this.path(digest))
  }

  /** Writes and commits a whole object; leaves no file when it fails. */
  write(type: ObjectType, digest: Digest, payload: Uint8Array): void {
    const path = this.path(digest)
    const fd = this.#calls.create(path)
    try {
      try {
        this.#writeObject(fd, type, payload)
      } finally {
        this.#calls.close(fd)
      }
      this.#commit(digest, { type, size: payload.length })
    } catch (error) {
      this.#remove(path)
      throw error
    }
  }

  /** Commits an object whose file is whole. */
  adopt(path: string, type: ObjectType, { digest, size }: ObjectLink): void {
    this.#calls.rename(path, this.path(digest))
    this.#commit(digest, { type, size })
  }

  /** What was committed since the last time, to be published. */
  take(): CommitLog | undefined {
    const log = this.#log
    this.#log = undefined
    return log
  }

  /** An object's file is gone: it was published or dropped. */
  forget(digest: Digest): void {
    this.#known.delete(digest)
  }

  /** Whether an object is staged, by a look at its file at most. */
  has(digest: Digest): boolean {
    if (this.#known.has(digest)) return true
    return this.#hasForgotten && isObjectFile(this.path(digest))
  }

  /** Removes every file. */
  async remove(): Promise<void> {
    this.#known.clear()
    this.#log = undefined
    if (this.#folder === undefined) return
    await rm(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  #commit(digest: Digest, info: ObjectInfo): void {
    this.#log ??= new CommitLog(this.#calls, () => this.newPath())
    if (this.#known.size >= this.#maxKnown) {
      this.#log.spill()
      this.#known.clear()
      this.#hasForgotten = true
    }
    this.#log.add(digest)
    this.#known.set(digest, info)
  }

  #remove(path: string): void {
    try {
      this.#calls.unlink(path)
    } catch {
      // The first error tells more, and the file goes with the folder.
    }
  }

  #writeObject(fd: number, type: ObjectType, payload: Uint8Array): void {
    this.#joined[0] = objectTypeByte(type)
    if (payload.length <= joinedBytes) {
      this.#joined.set(payload, 1)
      writeFully(this.#calls, fd, this.#joined.subarray(0, 1 + payload.length))
    } else {
      writeFully(this.#calls, fd, this.#joined.subarray(0, 1))
      writeFully(this.#calls, fd, payload)
    }
  }

  #ownFolder(): string {
    if (this.#folder === undefined) {
      const folder = `${this.#parent}/staged-${randomBytes(6).toString('hex')}`
      this.#calls.makeFolder(folder)
      this.#folder = folder
    }
    return this.#folder
  }
}
