import type { ApplicationConfig } from '../../object/application-config.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { SourceProblem } from './source-problem.js'
import type { StatCache } from './stat-cache/stat-cache.js'

/** How far a store has come. */
export type StoreProgress = {
  /** Entries of the tree so far, the root and every name of a hard link included. */
  readonly entries: number
  /** Entries among them that are regular files. */
  readonly files: number
  /** Content bytes, read or known to be unchanged; a file with several names counts once. */
  readonly bytes: number
}

/** What a store did. */
export type StoreStats = StoreProgress & {
  /** What the tree may have but this platform cannot read: nothing where all is native. */
  readonly leftOut: readonly 'xattrs'[]
}

/** How a folder is walked and stored. */
export type WalkOptions = {
  /**
   * Called after each batch, and each MiB of a large file.
   *
   * It may throw, which ends the store.
   */
  readonly onProgress?: (progress: StoreProgress) => void
  /**
   * Called for each entry that cannot be stored, which is then left out with all that is
   * below it. Without it, or when it throws, the first such entry ends the store.
   */
  readonly onProblem?: (problem: SourceProblem) => void
  readonly signal?: AbortSignal
  /** Spares the reading of files that have not changed; the caller saves and disposes it. */
  readonly cache?: StatCache
}

/** How a tree becomes an application. */
export type StoreOptions = WalkOptions & {
  /**
   * Makes the bytes of the original program: no extension, no attributes of symlinks.
   *
   * Excludes the options below.
   */
  readonly version1?: boolean
  /** Records modification times. */
  readonly mtimes?: boolean
  readonly config?: ApplicationConfig
  /** Applications that this one is made from. */
  readonly parents?: readonly Digest[]
  /** Seconds since 1970-01-01 UTC. */
  readonly created?: bigint
}

/** A stored object and what storing it did. */
export type StoredTree = { readonly descriptor: Descriptor; readonly stats: StoreStats }
