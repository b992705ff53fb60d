import type { Labels, Mount, SnapshotInfo, Usage } from './snapshot.js'
import type { SnapshotKey } from './snapshot-key.js'

/** How a call may be ended before its time. */
export type CallOptions = { readonly signal?: AbortSignal }

/** What a new snapshot is made of. */
export type PrepareOptions = CallOptions & {
  /** A committed snapshot; the empty key for none. */
  readonly parent?: SnapshotKey
  readonly labels?: Labels
}

/** What a commit attaches. */
export type CommitOptions = CallOptions & {
  readonly labels?: Labels
  /**
   * Gives a parent to a snapshot that was made without one; of one that has a parent, only
   * its own may be named.
   */
  readonly parent?: SnapshotKey
}

/** What an update changes. */
export type UpdateOptions = CallOptions & {
  /** `labels`, or `labels.` with the key of one; none: all labels. */
  readonly paths?: readonly string[]
}

/**
 * containerd's snapshotter contract: layers of filesystem trees, each on top of its parent.
 *
 * All keys and names share one space. Every change is durable before it is answered. Calls
 * throw SnapshotNotFoundError, SnapshotExistsError, SnapshotInUseError,
 * WrongSnapshotKindError and InvalidArgumentError as docs/containerd.md says.
 */
export interface Snapshotter extends AsyncDisposable {
  stat(key: SnapshotKey, options?: CallOptions): Promise<SnapshotInfo>

  /** Changes labels, as many as `paths` says, and tells what came of it. */
  update(key: SnapshotKey, labels: Labels, options?: UpdateOptions): Promise<SnapshotInfo>

  /** Of an active snapshot counted now, of a committed one when it was; nothing of a view. */
  usage(key: SnapshotKey, options?: CallOptions): Promise<Usage>

  /** How an active snapshot or a view is mounted: always the same answer. */
  mounts(key: SnapshotKey, options?: CallOptions): Promise<readonly Mount[]>

  /** Makes an active snapshot, which starts as its parent. */
  prepare(key: SnapshotKey, options?: PrepareOptions): Promise<readonly Mount[]>

  /** Makes a read-only snapshot of a parent. */
  view(key: SnapshotKey, options?: PrepareOptions): Promise<readonly Mount[]>

  /** Makes an active snapshot a committed one of another name; the key is free again. */
  commit(name: SnapshotKey, key: SnapshotKey, options?: CommitOptions): Promise<void>

  /** Removes a snapshot that is nobody's parent; its room on disk is freed later. */
  remove(key: SnapshotKey, options?: CallOptions): Promise<void>

  /** Lists snapshots that match one of the filters, all without filters, in batches. */
  walk(
    filters?: readonly string[],
    options?: CallOptions,
  ): AsyncIterable<readonly SnapshotInfo[]>

  /** Frees what removed snapshots and crashes left on disk. */
  cleanup(options?: CallOptions): Promise<void>

  /** Lets go of the snapshots, and removes none; twice is harmless. */
  close(): Promise<void>
}
