import { join } from 'node:path'
import { ObjectNotFoundError, WrongObjectTypeError } from '../errors.js'
import { type Digest, findDigest } from '../object/digest.js'
import type { ObjectReader } from '../store/object-store.js'
import { isErrno } from '../system/errno.js'
import type { FileCalls } from '../system/file-calls.js'
import { ensureFolder, removeIfThere, syncPath, writeNewFile } from './durable-file.js'
import { readTextNames } from './folder-names.js'
import { type LockOptions, withLock } from './lock.js'
import type { RepositoryPaths } from './repository-paths.js'
import { naming } from './system-failure.js'

/**
 * The applications of a repository that are mounted somewhere: `ROOT/refs/mounts/<digest>`,
 * an empty file each. They are roots, as tags are.
 */
export class MountSet {
  readonly #paths: RepositoryPaths
  readonly #objects: ObjectReader
  readonly #calls: FileCalls

  constructor(paths: RepositoryPaths, objects: ObjectReader, calls: FileCalls) {
    this.#paths = paths
    this.#objects = objects
    this.#calls = calls
  }

  /** The mounted applications, ascending. */
  async list(): Promise<Digest[]> {
    return readTextNames(this.#paths.mounts).flatMap(name => findDigest(name) ?? [])
  }

  /**
   * Adds an application, durably; adding it again changes nothing.
   *
   * Throws ObjectNotFoundError, WrongObjectTypeError.
   */
  async add(digest: Digest, options: LockOptions = {}): Promise<void> {
    const path = join(this.#paths.mounts, digest)
    await withLock(this.#paths, { ...options, mode: 'exclusive' }, async () => {
      await this.#checkApplication(digest)
      await naming('add mount', path, () => this.#write(path))
    })
  }

  /** Removes an application, durably; one that is not there changes nothing. */
  async remove(digest: Digest, options: LockOptions = {}): Promise<void> {
    const path = join(this.#paths.mounts, digest)
    await withLock(this.#paths, { ...options, mode: 'exclusive' }, () =>
      naming('remove mount', path, async () => {
        if (!removeIfThere(path, this.#calls)) return
        await syncPath(this.#paths.mounts, this.#calls)
      }),
    )
  }

  async #write(path: string): Promise<void> {
    await ensureFolder(this.#paths.mounts, this.#calls)
    try {
      await writeNewFile(path, Buffer.alloc(0), this.#calls)
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
    }
    await syncPath(this.#paths.mounts, this.#calls)
  }

  async #checkApplication(digest: Digest): Promise<void> {
    this.#objects.refresh?.()
    const [info] = await this.#objects.stat([digest])
    if (info === undefined) {
      throw new ObjectNotFoundError(`no object ${digest}`, { digest })
    }
    if (info.type === 'application') return
    throw new WrongObjectTypeError(
      `only applications can be mounted: expected application, found ${info.type} ${digest}`,
      { digest, expected: 'application', found: info.type },
    )
  }
}
