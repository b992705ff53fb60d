import type { Digest } from '../../object/digest.js'
import type { Labels, Mount, SnapshotInfo } from '../snapshot.js'
import type { SnapshotKey } from '../snapshot-key.js'
import type { CallOptions } from '../snapshotter.js'

/** The files of a snapshot, to be read. */
export type ShownSnapshot = AsyncDisposable & {
  readonly info: SnapshotInfo
  /** How it is mounted; of an active snapshot, as who writes to it mounts it. */
  readonly mounts: readonly Mount[]
  /** How its parent is mounted, read only; undefined without one. */
  readonly below: readonly Mount[] | undefined
  /** Throws SnapshotNotFoundError if it was removed while it was read. */
  ensureThere(): Promise<void>
}

/** How a snapshot comes into being at once, with all its files. */
export type LoadOptions = CallOptions & {
  /** What the files are: with the same one on the same parent, files are shared. */
  readonly application: Digest
  /** A committed snapshot; the empty key for none. */
  readonly parent?: SnapshotKey
  readonly labels?: Labels
  /** Writes the files; the mounts are those of an active snapshot. */
  readonly fill: (mounts: readonly Mount[]) => Promise<void>
}

/** Whose snapshots can be read, and made, whole. */
export interface SnapshotContents {
  /** Shows the files of a snapshot; the caller disposes it. */
  show(key: SnapshotKey, options?: CallOptions): Promise<ShownSnapshot>

  /**
   * Makes a committed snapshot, durably, or nothing; tells whether another one has its
   * files, so that nothing had to be written.
   */
  load(name: SnapshotKey, options: LoadOptions): Promise<{ readonly shared: boolean }>
}
