import { setImmediate as nextTurn } from 'node:timers/promises'
import { WrongSnapshotKindError } from '../errors.js'
import type { Digest } from '../object/digest.js'
import { wallClock } from '../system/clock.js'
import { isErrno } from '../system/errno.js'
import { CommittedUsage } from './committed-usage.js'
import type {
  LoadOptions,
  ShownSnapshot,
  SnapshotContents,
} from './content/snapshot-contents.js'
import { findIdMapping } from './driver/id-mapping.js'
import { parseFilters } from './filter/filter.js'
import { KeyTurns } from './key-turns.js'
import { KnownSnapshots, notFound } from './known-snapshots.js'
import { keptLabels, updatedLabels } from './labels.js'
import { layerOf } from './layer-of-row.js'
import { describeRow, layerIdOf, type SnapshotRow } from './metadata/snapshot-row.js'
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
export class LocalSnapshotter implements Snapshotter, SnapshotContents {
  readonly #root: SnapshotRoot
  readonly #table: SnapshotTable
  readonly #known: KnownSnapshots
  readonly #turns = new KeyTurns()
  readonly #usage: CommittedUsage
  #closed: Promise<void> | undefined

  /** Takes the root over: closing the snapshotter closes it. */
  constructor(root: SnapshotRoot) {
    this.#root = root
    this.#table = root.log.table
    this.#known = new KnownSnapshots(root.log.table, root.driver)
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
    return this.#describe(this.#known.get(key))
  }

  async update(
    key: SnapshotKey,
    labels: Labels,
    { paths, signal }: UpdateOptions = {},
  ): Promise<SnapshotInfo> {
    return this.#change([key], signal, async () => {
      const row = this.#known.get(key)
      const changed = updatedLabels(row.labels, labels, paths)
      if (row.kind !== 'committed') findIdMapping(changed)
      const updated = later(row.updated)
      await this.#root.log.commit({
        kind: 'put',
        row: { ...row, labels: changed, updated },
      })
      return this.#describe(this.#known.get(key))
    })
  }

  async usage(key: SnapshotKey, options: CallOptions = {}): Promise<Usage> {
    const row = this.#known.get(key)
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
    const row = this.#known.get(key)
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
      const row = this.#known.get(key)
      this.#known.refuseTaken(name)
      this.#known.refuseInactive(row)
      const parentId = this.#known.newParent(row, parent)
      await this.#known.whileParent(parentId, async () => {
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
      const row = this.#known.get(key)
      await this.#known.whileLeaving(row, async () =>
        this.#root.reserve.orFree(() =>
          this.#root.log.commit({ kind: 'remove', id: row.id }),
        ),
      )
      this.#root.discardLayer(layerIdOf(row))
    })
  }

  async show(key: SnapshotKey): Promise<ShownSnapshot> {
    const row = this.#known.get(key)
    const below = this.#table.findById(row.parent)
    return {
      info: this.#describe(row),
      mounts: row.kind === 'committed' ? this.#lookingMounts(row) : this.#mountsOf(row),
      below: below && this.#lookingMounts(below),
      ensureThere: async () => {
        if (this.#table.findById(row.id) === undefined) throw notFound(key)
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
  }

  /** Whether a committed snapshot with a parent has a label. */
  findCommitted({
    parent,
    label: [name, value],
  }: {
    readonly parent: SnapshotKey
    readonly label: readonly [string, string]
  }): boolean {
    const below = parent === noSnapshot ? 0 : this.#table.find(parent)?.id
    return this.#table
      .rows()
      .some(
        row =>
          row.kind === 'committed' &&
          row.parent === below &&
          row.labels.get(name) === value,
      )
  }

  async load(
    name: SnapshotKey,
    { application, parent = noSnapshot, labels, fill, signal }: LoadOptions,
  ): Promise<{ readonly shared: boolean }> {
    const kept = keptLabels(labels)
    const started = wallClock()
    // Who loads the same thing meanwhile shares the files.
    return this.#change([name, turnOf(application)], signal, async () => {
      const below = this.#known.findParent(parent)
      this.#known.refuseTaken(name)
      const id = this.#root.takeId()
      const found = this.#table.findLoaded(application, this.#table.findById(below))
      const layer = found === undefined ? id : layerIdOf(found)
      this.#root.holdLayer(layer)
      const row = {
        id,
        key: name,
        parent: below,
        labels: kept,
        source: { application, layer },
      }
      try {
        await this.#known.whileParent(below, async () => {
          if (found === undefined) await this.#fill({ ...row, started }, fill, signal)
          const now = wallClock()
          const committed = { kind: 'committed', created: now, updated: now } as const
          await this.#root.log.commit({ kind: 'put', row: { ...row, ...committed } })
        })
      } finally {
        this.#root.releaseLayer(id)
        this.#root.releaseLayer(layer)
        this.#root.discardLayer(layer)
      }
      this.#usage.start(id)
      return { shared: found !== undefined }
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
      const below = this.#known.findParent(parent)
      this.#known.refuseTaken(key)
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
      await this.#known.whileParent(below, () => this.#create(row, signal))
      this.#root.releaseLayer(id)
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
      this.#root.releaseLayer(row.id)
      this.#root.discardLayer(row.id)
      throw error
    }
  }

  // Until the log knows of it, a layer belongs to nobody, and a crash leaves an orphan.
  async #fill(
    {
      started,
      ...row
    }: Omit<SnapshotRow, 'kind' | 'created' | 'updated'> & {
      readonly started: bigint
    },
    fill: LoadOptions['fill'],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const times = { created: started, updated: started }
    const layer = layerOf({ ...row, ...times, kind: 'active' }, this.#table)
    const { driver, sync } = this.#root
    await driver.create(layer, signal === undefined ? {} : { signal })
    await fill(driver.mounts(layer))
    signal?.throwIfAborted()
    await sync.sync(started)
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

  async #measure(row: SnapshotRow, options: CallOptions): Promise<Usage> {
    try {
      return await this.#root.driver.usage(String(row.id), options)
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || this.#table.findById(row.id)) throw error
      throw notFound(row.key)
    }
  }

  // As a view of it would be mounted.
  #lookingMounts(row: SnapshotRow): readonly Mount[] {
    const { id, parents } = layerOf(row, this.#table)
    const layer = { id: 'view', readOnly: true, parents: [id, ...parents] }
    return this.#root.driver.mounts(layer)
  }

  #mountsOf(row: SnapshotRow): readonly Mount[] {
    return this.#root.driver.mounts(layerOf(row, this.#table))
  }

  #describe(row: SnapshotRow): SnapshotInfo {
    return describeRow(row, this.#table.findById(row.parent))
  }
}

// The clock of a machine may be set back.
function later(time: bigint): bigint {
  const now = wallClock()
  return now > time ? now : time
}

// No byte is this character: it is no key of a snapshot.
function turnOf(application: Digest): SnapshotKey {
  return `\u0100${application}` as SnapshotKey
}
