import { setImmediate } from 'node:timers/promises'
import { CorruptObjectError } from '../errors.js'
import type { Digest } from '../object/digest.js'
import { isErrno } from '../system/errno.js'
import type { FileCalls } from '../system/file-calls.js'
import type { CommitLog } from './commit-log.js'
import { findObjectFile } from './loose-file.js'
import type { LooseLayout } from './loose-layout.js'
import type { StagedObjects } from './staged-objects.js'
import { writeFailure } from './storage-full.js'

// Up to so many objects, syncing each file and folder beats syncing all the filesystem.
const fewObjects = 16

// Others get their turn after so many renames.
const turnObjects = 256

/**
 * Moves staged objects into place: data durable first, then names in the order of
 * commits, so that after a power loss no object is cut and none lacks its children.
 *
 * Renames before one sync of the filesystem reach the disk in their order on the
 * journalling filesystems that have syncfs; elsewhere each is synced before the next.
 */
export class LoosePublisher {
  readonly #layout: LooseLayout
  readonly #calls: FileCalls
  readonly #fd: number
  /** Folders, by the digits they spell, of objects that others may have just named. */
  readonly #reliedOn = new Set<string>()
  /** Folders whose own names are known to be durable. */
  readonly #durableFolders = new Set<string>()
  #hasUnsyncedNames = false

  /** @param fd - a file or folder on the store's filesystem, open before any write */
  constructor(layout: LooseLayout, calls: FileCalls, fd: number) {
    this.#layout = layout
    this.#calls = calls
    this.#fd = fd
  }

  /**
   * Notes that this session counts on an object that it has not written: whoever did may
   * not have synced its name yet.
   */
  relyOn(digest: Digest): void {
    if (this.#calls.canSyncFilesystem()) this.#hasUnsyncedNames = true
    else this.#reliedOn.add(digest.slice(0, 6))
  }

  /** Publishes what was committed; the names may still be lost in a power loss. */
  async publish(staged: StagedObjects): Promise<void> {
    const log = staged.take()
    if (log === undefined) return
    const isFew = log.length <= fewObjects && !this.#hasUnsyncedNames
    const isWholesale = !isFew && this.#calls.canSyncFilesystem()
    if (isWholesale) await this.#syncFilesystem()
    else await this.#syncFiles(log, staged)
    let placed = 0
    for (const batch of log.batches()) {
      for (const digest of batch) {
        this.#place(digest, staged)
        if (!isWholesale) await this.#syncFolders(digest)
        if (++placed % turnObjects === 0) await setImmediate()
      }
    }
    if (isWholesale) this.#hasUnsyncedNames = true
  }

  /** Makes every name durable that was published or relied on. */
  async syncNames(): Promise<void> {
    // Taken first: what is relied on during a sync may have been named during it.
    const hasUnsyncedNames = this.#hasUnsyncedNames
    this.#hasUnsyncedNames = false
    if (hasUnsyncedNames) await this.#syncFilesystem()
    const reliedOn = [...this.#reliedOn]
    this.#reliedOn.clear()
    for (const spelled of reliedOn) await this.#syncFolders(spelled)
  }

  #place(digest: Digest, staged: StagedObjects): void {
    const from = staged.path(digest)
    const to = this.#layout.path(digest)
    try {
      const ours = staged.find(digest)
      const theirs = findObjectFile(to)
      if (theirs && theirs.type === ours?.type && theirs.size === ours.size) {
        this.#calls.unlink(from)
      } else {
        this.#makeFolder(digest)
        this.#calls.rename(from, to)
      }
    } catch (error) {
      if (isErrno(error, 'EISDIR')) {
        throw new CorruptObjectError(
          `object ${digest} is corrupt: expected a regular file, found a folder at ${to}`,
          { digest, expected: 'a regular file', found: 'a folder', path: to },
          { cause: error },
        )
      }
      throw writeFailure(error, `object ${digest}`)
    }
    staged.forget(digest)
  }

  async #syncFiles(log: CommitLog, staged: StagedObjects): Promise<void> {
    for (const batch of log.batches()) {
      for (const digest of batch) {
        await this.#sync(staged.path(digest), `object ${digest}`)
      }
    }
  }

  #makeFolder(digest: Digest): void {
    if (this.#calls.makeFolder(this.#layout.folder(digest)) === undefined) return
    for (const folder of this.#layout.folders(digest)) this.#durableFolders.delete(folder)
  }

  async #syncFolders(spelled: string): Promise<void> {
    let inner: string | undefined
    for (const folder of this.#layout.folders(spelled)) {
      if (inner !== undefined && this.#durableFolders.has(inner)) return
      await this.#sync(folder, `folder ${folder}`)
      if (inner !== undefined) this.#durableFolders.add(inner)
      inner = folder
    }
  }

  async #sync(path: string, what: string): Promise<void> {
    const fd = this.#calls.open(path)
    try {
      await this.#calls.sync(fd)
    } catch (error) {
      throw writeFailure(error, what)
    } finally {
      this.#calls.close(fd)
    }
  }

  async #syncFilesystem(): Promise<void> {
    try {
      await this.#calls.syncFilesystem(this.#fd)
    } catch (error) {
      throw writeFailure(error, `objects in ${this.#layout.objects}`)
    }
  }
}
