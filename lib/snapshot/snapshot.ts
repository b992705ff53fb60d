import type { SnapshotKey } from './snapshot-key.js'

/**
 * What a snapshot is: `active` is being written to, `view` is read only, `committed` never
 * changes and can be a parent.
 */
export type SnapshotKind = 'active' | 'view' | 'committed'

/** Texts that clients attach to snapshots; values are never empty. */
export type Labels = ReadonlyMap<string, string>

/** What is known of one snapshot. */
export type SnapshotInfo = {
  readonly name: SnapshotKey
  /** Empty without one. */
  readonly parent: SnapshotKey
  readonly kind: SnapshotKind
  /** Nanoseconds since 1970-01-01 UTC; of a committed snapshot, when it was committed. */
  readonly created: bigint
  readonly updated: bigint
  readonly labels: Labels
}

/** What a snapshot takes on disk, without its parents. */
export type Usage = {
  readonly size: number
  readonly inodes: number
}

/** How a snapshot is mounted; options as mount(8) spells them. */
export type Mount = {
  readonly type: string
  readonly source: string
  /** Empty: the caller's choice. */
  readonly target: string
  readonly options: readonly string[]
}
