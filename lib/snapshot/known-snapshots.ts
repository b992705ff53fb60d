import {
  InvalidArgumentError,
  SnapshotExistsError,
  SnapshotInUseError,
  SnapshotNotFoundError,
  WrongSnapshotKindError,
} from '../errors.js'
import type { SnapshotDriver } from './driver/snapshot-driver.js'
import type { SnapshotRow } from './metadata/snapshot-row.js'
import type { SnapshotTable } from './metadata/snapshot-table.js'
import { noSnapshot, type SnapshotKey, showSnapshotKey } from './snapshot-key.js'

/**
 * Looks snapshots up for calls that change them, and refuses what the contract forbids;
 * knows which are becoming a parent or going right now.
 */
export class KnownSnapshots {
  readonly #table: SnapshotTable
  readonly #driver: SnapshotDriver
  /** Rows that are being made a parent, by how many; they must not be removed. */
  readonly #wanted = new Map<number, number>()
  /** Rows that are being removed: none may become a parent. */
  readonly #leaving = new Set<number>()

  constructor(table: SnapshotTable, driver: SnapshotDriver) {
    this.#table = table
    this.#driver = driver
  }

  /** Throws SnapshotNotFoundError. */
  get(key: SnapshotKey): SnapshotRow {
    const row = this.#table.find(key)
    if (row === undefined) throw notFound(key)
    return row
  }

  /** The id of a parent that a new snapshot may stand on; 0 for none. */
  findParent(parent: SnapshotKey): number {
    if (parent === noSnapshot) return 0
    const row = this.#table.find(parent)
    if (row === undefined || this.#leaving.has(row.id)) throw notFound(parent)
    if (row.kind === 'committed') return row.id
    throw new InvalidArgumentError(
      `the parent ${showSnapshotKey(parent)} is not committed: found ${row.kind}`,
      { key: showSnapshotKey(parent), found: row.kind },
    )
  }

  /** The id of the parent that an active snapshot is committed on. */
  newParent(row: SnapshotRow, parent: SnapshotKey = noSnapshot): number {
    if (parent === noSnapshot) return row.parent
    const found = this.get(parent)
    if (found.id === row.parent) return row.parent
    const shown = showSnapshotKey(row.key)
    if (row.parent !== 0) {
      throw new InvalidArgumentError(
        `snapshot ${shown} has another parent than ${showSnapshotKey(parent)}`,
        { key: shown, parent: showSnapshotKey(parent) },
      )
    }
    if (found.kind !== 'committed') throw notCommitted(found)
    if (this.#leaving.has(found.id)) throw notFound(parent)
    if (this.#driver.canRebase) return found.id
    const driver = this.#driver.name
    throw new InvalidArgumentError(
      `the driver ${driver} cannot give snapshot ${shown} a parent: each of its snapshots is whole`,
      { key: shown, driver },
    )
  }

  refuseTaken(key: SnapshotKey): void {
    if (key === noSnapshot) {
      throw new InvalidArgumentError('the key of a new snapshot is empty')
    }
    const row = this.#table.find(key)
    if (row === undefined) return
    throw new SnapshotExistsError(
      `snapshot ${showSnapshotKey(key)} exists: it is ${row.kind}`,
      { key: showSnapshotKey(key), found: row.kind },
    )
  }

  refuseInactive({ key, kind }: SnapshotRow): void {
    if (kind === 'active') return
    const shown = showSnapshotKey(key)
    throw new WrongSnapshotKindError(
      `only active snapshots are committed: snapshot ${shown} is ${kind}`,
      { key: shown, found: kind },
    )
  }

  /** Runs an action during which a snapshot is not removed. */
  async whileParent<Result>(id: number, action: () => Promise<Result>): Promise<Result> {
    this.#wanted.set(id, (this.#wanted.get(id) ?? 0) + 1)
    try {
      return await action()
    } finally {
      const left = (this.#wanted.get(id) ?? 1) - 1
      if (left === 0) this.#wanted.delete(id)
      else this.#wanted.set(id, left)
    }
  }

  /** Runs an action that removes a snapshot; throws SnapshotInUseError for a parent. */
  async whileLeaving(
    { id, key }: SnapshotRow,
    action: () => Promise<void>,
  ): Promise<void> {
    if (this.#table.hasChildren(id) || this.#wanted.has(id)) {
      throw new SnapshotInUseError(
        `cannot remove snapshot ${showSnapshotKey(key)}: it is the parent of others`,
        { key: showSnapshotKey(key) },
      )
    }
    this.#leaving.add(id)
    try {
      await action()
    } finally {
      this.#leaving.delete(id)
    }
  }
}

/** What is thrown for a key that no snapshot has. */
export function notFound(key: SnapshotKey): SnapshotNotFoundError {
  const shown = showSnapshotKey(key)
  return new SnapshotNotFoundError(`no snapshot ${shown}`, { key: shown })
}

function notCommitted({ key, kind }: SnapshotRow): WrongSnapshotKindError {
  const shown = showSnapshotKey(key)
  return new WrongSnapshotKindError(
    `only committed snapshots can be parents: snapshot ${shown} is ${kind}`,
    { key: shown, found: kind },
  )
}
