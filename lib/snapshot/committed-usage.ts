import { SnapshotNotFoundError } from '../errors.js'
import { isErrno } from '../system/errno.js'
import { layerIdOf } from './metadata/snapshot-row.js'
import type { Usage } from './snapshot.js'
import type { SnapshotRoot } from './snapshot-root.js'

/**
 * What committed snapshots take on disk: counted once, after the commit was answered, and
 * kept. A count that a crash cut off is made again when it is asked for.
 */
export class CommittedUsage {
  readonly #root: SnapshotRoot
  readonly #running = new Map<number, Promise<Usage>>()

  constructor(root: SnapshotRoot) {
    this.#root = root
  }

  /** Begins to count. */
  start(id: number): void {
    // Whoever asks for the usage sees the failure.
    void this.of(id).catch(() => undefined)
  }

  /** Waits for the count; throws SnapshotNotFoundError when the snapshot goes meanwhile. */
  async of(id: number): Promise<Usage> {
    const known = this.#root.log.table.usage(id)
    if (known !== undefined) return known
    const running = this.#running.get(id) ?? this.#count(id)
    this.#running.set(id, running)
    return running
  }

  async #count(id: number): Promise<Usage> {
    const { driver, log } = this.#root
    try {
      const row = log.table.findById(id)
      const usage = await driver.usage(String(row === undefined ? id : layerIdOf(row)))
      if (log.table.findById(id) !== undefined) log.note({ kind: 'usage', id, usage })
      return usage
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || log.table.findById(id) !== undefined) throw error
      throw new SnapshotNotFoundError('the snapshot was removed while it was counted')
    } finally {
      this.#running.delete(id)
    }
  }
}
