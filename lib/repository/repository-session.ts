import type { Algorithm } from '../object/algorithm.js'
import type { Publishing, StoreSession } from '../store/object-store.js'
import type { LockOptions } from './lock.js'
import type { SessionPurpose } from './session-registry.js'

/** How a session adds objects to a repository. */
export type BeginOptions = LockOptions & {
  readonly purpose: SessionPurpose
  readonly publishing: Publishing
  /** Digests of objects that do not name an algorithm themselves; the repository's. */
  readonly algorithm?: Algorithm
  /** Works in this folder instead of one of its own, and leaves there what it did not publish. */
  readonly keepIn?: string
}

/** A time in which objects are added to a repository. Disposing ends it. */
export interface RepositorySession extends AsyncDisposable {
  /** Higher than that of every session that began before. */
  readonly number: number
  /** A folder on the repository's filesystem; this session's own, and gone at the end,
   * unless it was told to keep another. */
  readonly folder: string
  readonly objects: StoreSession
}
