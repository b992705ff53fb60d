import { closeSync } from 'node:fs'
import type { Reserve } from '../repository/gc/reserve.js'
import type { SnapshotDriver } from './driver/snapshot-driver.js'
import type { ContentSync } from './layer/content-sync.js'
import type { LayerFolders } from './layer/layer-folders.js'
import type { LayerThreads } from './layer/layer-threads.js'
import type { LayerTrash } from './layer/layer-trash.js'
import { layerOf } from './layer-of-row.js'
import type { SnapshotLog } from './metadata/snapshot-log.js'
import { type SnapshotKey } from './snapshot-key.js'

/** What opening a root found and put right. */
export type Recovery = {
  /** Folders of snapshots that nobody was told of, or that were removed; freed now. */
  readonly orphans: number
  /** Active snapshots whose folders a power cut took; they are empty again. */
  readonly restored: readonly SnapshotKey[]
  /** Snapshots whose files are gone for good. */
  readonly missing: readonly SnapshotKey[]
}

/** What a root is made of; it closes all of it. */
export type SnapshotRootParts = {
  readonly path: string
  /** Holds the lock of the root. */
  readonly lock: number
  readonly log: SnapshotLog
  readonly driver: SnapshotDriver
  readonly folders: LayerFolders
  readonly threads: LayerThreads
  readonly trash: LayerTrash
  readonly sync: ContentSync
  readonly reserve: Reserve
}

/** A folder of snapshots that this process alone works in. */
export class SnapshotRoot implements AsyncDisposable {
  readonly path: string
  readonly log: SnapshotLog
  readonly driver: SnapshotDriver
  readonly trash: LayerTrash
  readonly sync: ContentSync
  readonly reserve: Reserve
  readonly recovery: Recovery
  readonly #lock: number
  readonly #folders: LayerFolders
  readonly #threads: LayerThreads
  /** Ids of snapshots that are being made. */
  readonly #taken = new Set<number>()
  #lastId: number
  #open = true

  private constructor(parts: SnapshotRootParts, recovery: Recovery) {
    this.path = parts.path
    this.log = parts.log
    this.driver = parts.driver
    this.trash = parts.trash
    this.sync = parts.sync
    this.reserve = parts.reserve
    this.#lock = parts.lock
    this.#folders = parts.folders
    this.#threads = parts.threads
    this.#lastId = parts.log.table.lastId
    this.recovery = recovery
  }

  /** Makes log and folders agree: the log is right. */
  static async recover(parts: SnapshotRootParts): Promise<SnapshotRoot> {
    try {
      return new SnapshotRoot(parts, await agree(parts))
    } catch (error) {
      await parts.log[Symbol.asyncDispose]()
      throw error
    }
  }

  /** An id that no snapshot had, for one that is being made. */
  takeId(): number {
    this.#lastId += 1
    this.#taken.add(this.#lastId)
    return this.#lastId
  }

  /** The snapshot of an id is in the log now, or never will be. */
  releaseId(id: number): void {
    this.#taken.delete(id)
  }

  /** Takes away the folders that belong to no snapshot. */
  discardOrphans(): void {
    for (const id of this.#folders.ids()) {
      const number = Number(id)
      if (this.#taken.has(number) || this.log.table.findById(number)) continue
      this.driver.remove(id)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.trash.close()
    await this.#threads[Symbol.asyncDispose]()
    await this.log[Symbol.asyncDispose]()
    this.sync[Symbol.dispose]()
    closeSync(this.#lock)
  }
}

async function agree({ log, folders, driver }: SnapshotRootParts): Promise<Recovery> {
  const { table } = log
  const onDisk = new Set(folders.ids())
  const orphans = [...onDisk].filter(id => table.findById(Number(id)) === undefined)
  for (const id of orphans) driver.remove(id)
  const restored: SnapshotKey[] = []
  const missing: SnapshotKey[] = []
  for (const row of table.rows()) {
    if (row.kind === 'committed' && onDisk.has(String(row.id))) continue
    const layer = layerOf(row, table)
    if (driver.exists(layer)) continue
    // Only what is written before a commit may be lost by a power cut, and a folder
    // that starts as a copy was synced before it was told of.
    const isRestorable = row.kind !== 'committed' && driver.startsEmpty(layer)
    if (isRestorable) {
      driver.remove(layer.id)
      await driver.create(layer)
    }
    ;(isRestorable ? restored : missing).push(row.key)
  }
  return { orphans: orphans.length, restored, missing }
}
