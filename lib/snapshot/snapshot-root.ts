import { closeSync } from 'node:fs'
import type { Reserve } from '../repository/gc/reserve.js'
import type { SnapshotDriver } from './driver/snapshot-driver.js'
import type { ContentSync } from './layer/content-sync.js'
import type { LayerFolders } from './layer/layer-folders.js'
import type { LayerThreads } from './layer/layer-threads.js'
import type { LayerTrash } from './layer/layer-trash.js'
import { layerOf } from './layer-of-row.js'
import type { SnapshotLog } from './metadata/snapshot-log.js'
import { layerIdOf } from './metadata/snapshot-row.js'
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
  /** Ids of layers that are being made, or shared with one more, by how many. */
  readonly #held = new Map<number, number>()
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
    this.holdLayer(this.#lastId)
    return this.#lastId
  }

  /** Keeps a layer, whether or not the log knows a snapshot that has it. */
  holdLayer(id: number): void {
    this.#held.set(id, (this.#held.get(id) ?? 0) + 1)
  }

  /** Undoes one hold: the snapshot that it was for is in the log now, or never will be. */
  releaseLayer(id: number): void {
    const left = (this.#held.get(id) ?? 1) - 1
    if (left === 0) this.#held.delete(id)
    else this.#held.set(id, left)
  }

  /** Takes a layer away that no snapshot has, or will have. */
  discardLayer(id: number): void {
    if (this.#held.has(id) || this.log.table.usesLayer(id)) return
    this.driver.remove(String(id))
    this.trash.start()
  }

  /** Takes away the folders that belong to no snapshot. */
  discardOrphans(): void {
    for (const id of this.#folders.ids()) {
      this.discardLayer(Number(id))
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
  const orphans = [...onDisk].filter(id => !table.usesLayer(Number(id)))
  for (const id of orphans) driver.remove(id)
  const restored: SnapshotKey[] = []
  const missing: SnapshotKey[] = []
  for (const row of table.rows()) {
    if (row.kind === 'committed' && onDisk.has(String(layerIdOf(row)))) continue
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
