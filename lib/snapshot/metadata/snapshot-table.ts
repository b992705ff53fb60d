import { InvalidObjectError } from '../../errors.js'
import type { Digest } from '../../object/digest.js'
import type { Usage } from '../snapshot.js'
import { type SnapshotKey, showSnapshotKey } from '../snapshot-key.js'
import { layerIdOf, type SnapshotChange, type SnapshotRow } from './snapshot-row.js'

/** All snapshots of one root: what the changes in its log add up to. */
export class SnapshotTable {
  readonly #byId = new Map<number, SnapshotRow>()
  readonly #byKey = new Map<SnapshotKey, SnapshotRow>()
  readonly #children = new Map<number, number>()
  /** How many snapshots have their files in a folder. */
  readonly #layers = new Map<number, number>()
  readonly #usages = new Map<number, Usage>()
  #lastId = 0
  #sorted: readonly SnapshotRow[] | undefined

  get size(): number {
    return this.#byId.size
  }

  /** The highest id that was given out. */
  get lastId(): number {
    return this.#lastId
  }

  find(key: SnapshotKey): SnapshotRow | undefined {
    return this.#byKey.get(key)
  }

  findById(id: number): SnapshotRow | undefined {
    return this.#byId.get(id)
  }

  hasChildren(id: number): boolean {
    return this.#children.has(id)
  }

  /** Whether a snapshot has its files in the folder of this number. */
  usesLayer(layer: number): boolean {
    return this.#layers.has(layer)
  }

  /** A snapshot with the files of an application, on top of the same parent's files. */
  findLoaded(
    application: Digest,
    parent: SnapshotRow | undefined,
  ): SnapshotRow | undefined {
    const below = parent && layerIdOf(parent)
    for (const row of this.#byId.values()) {
      if (row.source?.application !== application) continue
      const other = this.#byId.get(row.parent)
      if ((other && layerIdOf(other)) === below) return row
    }
    return undefined
  }

  /** What a committed snapshot takes, once that is known. */
  usage(id: number): Usage | undefined {
    return this.#usages.get(id)
  }

  /** The parent of a row, its parent, and so on. */
  ancestors(row: SnapshotRow): SnapshotRow[] {
    const found: SnapshotRow[] = []
    let next = this.#byId.get(row.parent)
    for (; next !== undefined; next = this.#byId.get(next.parent)) found.push(next)
    return found
  }

  /** Every row, in byte order of the keys. */
  rows(): readonly SnapshotRow[] {
    this.#sorted ??= [...this.#byKey.values()].toSorted((a, b) =>
      a.key < b.key ? -1 : 1,
    )
    return this.#sorted
  }

  /** Carries a change out; throws InvalidObjectError for one that cannot follow. */
  apply(change: SnapshotChange): void {
    switch (change.kind) {
      case 'put':
        this.#put(change.row)
        break
      case 'remove':
        this.#remove(change.id)
        break
      case 'usage':
        if (this.#byId.has(change.id)) this.#usages.set(change.id, change.usage)
        break
      case 'ids':
        this.#lastId = Math.max(this.#lastId, change.last)
        break
      default:
        change satisfies never
    }
  }

  /** Throws InvalidObjectError unless every chain of parents is whole and committed. */
  check(): void {
    const whole = new Set<number>()
    for (const row of this.#byId.values()) {
      const chain = new Set<number>([row.id])
      for (let { parent } = row; parent !== 0; ) {
        const found = this.#byId.get(parent)
        if (found?.kind !== 'committed') throw badParent(row, parent, 'is not committed')
        if (whole.has(parent)) break
        if (chain.has(parent)) throw badParent(row, parent, 'descends from it')
        chain.add(parent)
        parent = found.parent
      }
      for (const id of chain) whole.add(id)
    }
  }

  /** The fewest changes that make this table of an empty one. */
  *changes(): Generator<SnapshotChange, void> {
    yield { kind: 'ids', last: this.#lastId }
    for (const row of this.#byId.values()) yield { kind: 'put', row }
    for (const [id, usage] of this.#usages) yield { kind: 'usage', id, usage }
  }

  #put(row: SnapshotRow): void {
    const other = this.#byKey.get(row.key)
    if (other !== undefined && other.id !== row.id) {
      throw new InvalidObjectError(
        `two snapshots of the key ${showSnapshotKey(row.key)}: ${other.id} and ${row.id}`,
        { key: showSnapshotKey(row.key) },
      )
    }
    const before = this.#byId.get(row.id)
    if (before !== undefined) {
      this.#byKey.delete(before.key)
      count(this.#children, before.parent, -1)
      count(this.#layers, layerIdOf(before), -1)
    }
    this.#byId.set(row.id, row)
    this.#byKey.set(row.key, row)
    count(this.#children, row.parent, 1)
    count(this.#layers, layerIdOf(row), 1)
    this.#lastId = Math.max(this.#lastId, row.id, layerIdOf(row))
    this.#sorted = undefined
  }

  #remove(id: number): void {
    const row = this.#byId.get(id)
    if (row === undefined || this.#children.has(id)) {
      const problem = row === undefined ? 'is not there' : 'has children'
      throw new InvalidObjectError(`snapshot ${id} is removed, but ${problem}`, { id })
    }
    this.#byId.delete(id)
    this.#byKey.delete(row.key)
    this.#usages.delete(id)
    count(this.#children, row.parent, -1)
    count(this.#layers, layerIdOf(row), -1)
    this.#sorted = undefined
  }
}

function count(counts: Map<number, number>, id: number, difference: number): void {
  if (id === 0) return
  const found = (counts.get(id) ?? 0) + difference
  if (found === 0) counts.delete(id)
  else counts.set(id, found)
}

function badParent(row: SnapshotRow, parent: number, problem: string) {
  const key = showSnapshotKey(row.key)
  return new InvalidObjectError(`the parent ${parent} of snapshot ${key} ${problem}`, {
    key,
    parent,
  })
}
