import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  InvalidArgumentError,
  SnapshotExistsError,
  SnapshotInUseError,
  SnapshotNotFoundError,
  WrongSnapshotKindError,
} from '../errors.js'
import { wallClock } from '../system/clock.js'
import { isErrno } from '../system/errno.js'
import { CommittedUsage } from './committed-usage.js'
import { findIdMapping } from './driver/id-mapping.js'
import { parseFilters } from './filter/filter.js'
import { KeyTurns } from './key-turns.js'
import { keptLabels, updatedLabels } from './labels.js'
import { layerOf } from './layer-of-row.js'
import { describeRow, type SnapshotRow } from './metadata/snapshot-row.js'
import type { SnapshotTable } from './metadata/snapshot-table.js'
import type { Labels, Mount, SnapshotInfo, Usage } from './snapshot.js'
import { noSnapshot, type SnapshotKey, showSnapshotKey } from './snapshot-key.js'
import type { Recovery, SnapshotRoot } from './snapshot-root.js'
import type {
  CallOptions,
  CommitOptions,
  PrepareOptions,
  Snapshotter,
  UpdateOptions,
} from './snapshotter.js'

const batchSize = 100
// So many snapshots are looked at before others get their turn.
const lookedAtOnce = 1000

/** Snapshots in a folder of this machine. */
export class LocalSnapshotter implements Snapshotter {
  readonly #root: SnapshotRoot
  readonly #table: SnapshotTable
  readonly #turns = new KeyTurns()
  readonly #usage: CommittedUsage
  /** Rows that are being made a parent, by how many; they must not be removed. */
  readonly #wanted = new Map<number, number>()
  /** Rows that are being removed: none may become a parent. */
  readonly #leaving = new Set<number>()
  #closed: Promise<void> | undefined

  /** Takes the root over: closing the snapshotter closes it. */
  constructor(root: SnapshotRoot) {
    this.#root = root
    this.#table = root.log.table
    this.#usage = new CommittedUsage(root)
  }

  /** What was found, and put right, when the root was opened. */
  get recovery(): Recovery {
    return this.#root.recovery
  }

  /** The folder, with links resolved. */
  get root(): string {
    return this.#root.path
  }

  /** How snapshots lie on disk here. */
  get driver(): SnapshotRoot['driver']['name'] {
    return this.#root.driver.name
  }

  async stat(key: SnapshotKey): Promise<SnapshotInfo> {
    return this.#describe(this.#get(key))
  }

  async update(
    key: SnapshotKey,
    labels: Labels,
    { paths, signal }: UpdateOptions = {},
  ): Promise<SnapshotInfo> {
    return this.#change([key], signal, async () => {
      const row = this.#get(key)
      const changed = updatedLabels(row.labels, labels, paths)
      if (row.kind !== 'committed') findIdMapping(changed)
      const updated = later(row.updated)
      await this.#root.log.commit({
        kind: 'put',
        row: { ...row, labels: changed, updated },
      })
      return this.#describe(this.#get(key))
    })
  }

  async usage(key: SnapshotKey, options: CallOptions = {}): Promise<Usage> {
    const row = this.#get(key)
    switch (row.kind) {
      case 'view':
        return { size: 0, inodes: 0 }
      case 'committed':
        return this.#usage.of(row.id)
      case 'active':
        return this.#measure(row, options)
      default:
        return row.kind satisfies never
    }
  }

  async mounts(key: SnapshotKey): Promise<readonly Mount[]> {
    const row = this.#get(key)
    if (row.kind !== 'committed') return this.#mountsOf(row)
    throw new WrongSnapshotKindError(
      `snapshot ${showSnapshotKey(key)} is committed: only active snapshots and views are mounted`,
      { key: showSnapshotKey(key), found: row.kind },
    )
  }

  async prepare(
    key: SnapshotKey,
    options: PrepareOptions = {},
  ): Promise<readonly Mount[]> {
    return this.#make('active', key, options)
  }

  async view(key: SnapshotKey, options: PrepareOptions = {}): Promise<readonly Mount[]> {
    return this.#make('view', key, options)
  }

  async commit(
    name: SnapshotKey,
    key: SnapshotKey,
    { labels, parent, signal }: CommitOptions = {},
  ): Promise<void> {
    const kept = keptLabels(labels)
    await this.#change([name, key], signal, async () => {
      const row = this.#get(key)
      this.#refuseTaken(name)
      if (row.kind !== 'active') throw notActive(row)
      await this.#withParent(this.#newParent(row, parent), async parentId => {
        // A name whose content a power cut could empty must not be given out.
        await this.#root.sync.sync(row.created)
        const now = wallClock()
        const change = { key: name, kind: 'committed', labels: kept } as const
        const times = { created: now, updated: now }
        const committed: SnapshotRow = { ...row, ...change, ...times, parent: parentId }
        await this.#root.log.commit({ kind: 'put', row: committed })
      })
      this.#usage.start(row.id)
    })
  }

  async remove(key: SnapshotKey, { signal }: CallOptions = {}): Promise<void> {
    await this.#change([key], signal, async () => {
      const { id } = this.#get(key)
      if (this.#table.hasChildren(id) || this.#wanted.has(id)) {
        throw new SnapshotInUseError(
          `cannot remove snapshot ${showSnapshotKey(key)}: it is the parent of others`,
          { key: showSnapshotKey(key) },
        )
      }
      this.#leaving.add(id)
      try {
        await this.#root.reserve.orFree(() =>
          this.#root.log.commit({ kind: 'remove', id }),
        )
      } finally {
        this.#leaving.delete(id)
      }
      this.#root.driver.remove(String(id))
      this.#root.trash.start()
    })
  }

  async *walk(
    filters: readonly string[] = [],
    { signal }: CallOptions = {},
  ): AsyncGenerator<readonly SnapshotInfo[], void> {
    const matches = parseFilters(filters)
    let batch: SnapshotInfo[] = []
    let looked = 0
    for (const { id } of this.#table.rows()) {
      signal?.throwIfAborted()
      looked += 1
      if (looked % lookedAtOnce === 0) await nextTurn()
      // What was removed since the walk began is passed over.
      const row = this.#table.findById(id)
      const info = row && this.#describe(row)
      if (info === undefined || !matches(info)) continue
      batch.push(info)
      if (batch.length < batchSize) continue
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  }

  async cleanup(options: CallOptions = {}): Promise<void> {
    this.#root.discardOrphans()
    await this.#root.trash.empty(options)
    this.#root.reserve.ensure([])
  }

  async close(): Promise<void> {
    this.#closed ??= this.#turns.end().then(() => this.#root[Symbol.asyncDispose]())
    await this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #make(
    kind: 'active' | 'view',
    key: SnapshotKey,
    { parent = noSnapshot, labels, signal }: PrepareOptions,
  ): Promise<readonly Mount[]> {
    const now = wallClock()
    const kept = keptLabels(labels)
    findIdMapping(kept)
    return this.#change([key], signal, async () => {
      const below = this.#findParent(parent)
      this.#refuseTaken(key)
      const id = this.#root.takeId()
      const row: SnapshotRow = {
        id,
        key,
        kind,
        parent: below,
        created: now,
        updated: now,
        labels: kept,
      }
      await this.#withParent(below, () => this.#create(row, signal))
      this.#root.releaseId(id)
      return this.#mountsOf(row)
    })
  }

  async #create(row: SnapshotRow, signal: AbortSignal | undefined): Promise<void> {
    const { driver, log } = this.#root
    try {
      await driver.create(
        layerOf(row, this.#table),
        signal === undefined ? {} : { signal },
      )
      signal?.throwIfAborted()
      await log.commit({ kind: 'put', row })
    } catch (error) {
      this.#root.releaseId(row.id)
      driver.remove(String(row.id))
      this.#root.trash.start()
      throw error
    }
  }

  async #change<Result>(
    keys: readonly SnapshotKey[],
    signal: AbortSignal | undefined,
    action: () => Promise<Result>,
  ): Promise<Result> {
    if (this.#closed !== undefined) throw new Error('the snapshotter is closed')
    return this.#turns.take(keys, async () => {
      signal?.throwIfAborted()
      return action()
    })
  }

  async #withParent(id: number, action: (id: number) => Promise<void>): Promise<void> {
    this.#wanted.set(id, (this.#wanted.get(id) ?? 0) + 1)
    try {
      await action(id)
    } finally {
      const left = (this.#wanted.get(id) ?? 1) - 1
      if (left === 0) this.#wanted.delete(id)
      else this.#wanted.set(id, left)
    }
  }

  async #measure(row: SnapshotRow, options: CallOptions): Promise<Usage> {
    try {
      return await this.#root.driver.usage(String(row.id), options)
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || this.#table.findById(row.id)) throw error
      throw notFound(row.key)
    }
  }

  #mountsOf(row: SnapshotRow): readonly Mount[] {
    return this.#root.driver.mounts(layerOf(row, this.#table))
  }

  #describe(row: SnapshotRow): SnapshotInfo {
    return describeRow(row, this.#table.findById(row.parent))
  }

  #get(key: SnapshotKey): SnapshotRow {
    const row = this.#table.find(key)
    if (row === undefined) throw notFound(key)
    return row
  }

  #findParent(parent: SnapshotKey): number {
    if (parent === noSnapshot) return 0
    const row = this.#table.find(parent)
    if (row === undefined || this.#leaving.has(row.id)) throw notFound(parent)
    if (row.kind === 'committed') return row.id
    throw new InvalidArgumentError(
      `the parent ${showSnapshotKey(parent)} is not committed: found ${row.kind}`,
      { key: showSnapshotKey(parent), found: row.kind },
    )
  }

  #newParent(row: SnapshotRow, parent: SnapshotKey = noSnapshot): number {
    if (parent === noSnapshot) return row.parent
    const found = this.#get(parent)
    if (found.id === row.parent) return row.parent
    if (row.parent !== 0) {
      throw new InvalidArgumentError(
        `snapshot ${showSnapshotKey(row.key)} has another parent than ${showSnapshotKey(parent)}`,
        { key: showSnapshotKey(row.key), parent: showSnapshotKey(parent) },
      )
    }
    if (found.kind !== 'committed') throw notCommitted(found)
    if (this.#leaving.has(found.id)) throw notFound(parent)
    if (this.#root.driver.canRebase) return found.id
    throw new InvalidArgumentError(
      `the driver ${this.driver} cannot give snapshot ${showSnapshotKey(row.key)} a parent: each of its snapshots is whole`,
      { key: showSnapshotKey(row.key), driver: this.driver },
    )
  }

  #refuseTaken(key: SnapshotKey): void {
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
}

// The clock of a machine may be set back.
function later(time: bigint): bigint {
  const now = wallClock()
  return now > time ? now : time
}

function notFound(key: SnapshotKey): SnapshotNotFoundError {
  const shown = showSnapshotKey(key)
  return new SnapshotNotFoundError(`no snapshot ${shown}`, { key: shown })
}

function notActive({ key, kind }: SnapshotRow): WrongSnapshotKindError {
  const shown = showSnapshotKey(key)
  return new WrongSnapshotKindError(
    `only active snapshots are committed: snapshot ${shown} is ${kind}`,
    { key: shown, found: kind },
  )
}

function notCommitted({ key, kind }: SnapshotRow): WrongSnapshotKindError {
  const shown = showSnapshotKey(key)
  return new WrongSnapshotKindError(
    `only committed snapshots can be parents: snapshot ${shown} is ${kind}`,
    { key: shown, found: kind },
  )
}
