import type { Digest } from '../../object/digest.js'
import type { Labels, SnapshotInfo, SnapshotKind, Usage } from '../snapshot.js'
import { noSnapshot, type SnapshotKey } from '../snapshot-key.js'

/** A snapshot as its table keeps it. */
export type SnapshotRow = {
  /** Names its folder; never used again. */
  readonly id: number
  readonly key: SnapshotKey
  readonly kind: SnapshotKind
  /** The id of its parent; 0 without one. */
  readonly parent: number
  readonly created: bigint
  readonly updated: bigint
  readonly labels: Labels
  /** Of one that was made from an application; unchanged ever since. */
  readonly source?: SnapshotSource
}

/** Where the files of a snapshot come from. */
export type SnapshotSource = {
  readonly application: Digest
  /** Names the folder of its files, which all that have them on one parent share. */
  readonly layer: number
}

/** Names the folder that holds the files of a snapshot. */
export function layerIdOf({ id, source }: SnapshotRow): number {
  return source?.layer ?? id
}

/** One change of the table: what a record of the log holds. */
export type SnapshotChange =
  /** Adds a row, or puts another in the place of the one with its id. */
  | { readonly kind: 'put'; readonly row: SnapshotRow }
  | { readonly kind: 'remove'; readonly id: number }
  /** What a committed snapshot takes; it may have been removed meanwhile. */
  | { readonly kind: 'usage'; readonly id: number; readonly usage: Usage }
  /** Ids up to this one were given out. */
  | { readonly kind: 'ids'; readonly last: number }

/** A row as clients see it. */
export function describeRow(
  row: SnapshotRow,
  parent: SnapshotRow | undefined,
): SnapshotInfo {
  const { key, kind, created, updated, labels } = row
  return { name: key, parent: parent?.key ?? noSnapshot, kind, created, updated, labels }
}
