import type { PackCalls } from '../../store/pack/pack-calls.js'
import type { LockOptions } from '../lock.js'
import type { RootOptions } from '../roots.js'

/** What a garbage collection is told. */
export type GcOptions = LockOptions &
  Pick<RootOptions, 'window'> & {
    /**
     * `collect`, the default; `dry-run` only tells what would become garbage; `undo` takes
     * everything out of the trash again.
     */
    readonly action?: 'collect' | 'dry-run' | 'undo'
    /** Milliseconds that garbage stays in the trash; a day by default, 0 removes it now. */
    readonly grace?: number
    /** Milliseconds since 1970-01-01 UTC; the present unless told. */
    readonly now?: number
    readonly onProgress?: (progress: { objects: number; bytes: number }) => void
    /** Writes through these instead of the system's own. */
    readonly calls?: PackCalls
  }

/** A number of objects, and the bytes that they take where they are stored. */
export type ObjectTally = { readonly objects: number; readonly bytes: number }

/** Something that could not be read or done; the run went on without it. */
export type GcProblem = { readonly where: string; readonly message: string }

/** What a garbage collection did. */
export type GcReport = {
  /** Everything that roots lead to. */
  readonly reachable: ObjectTally
  /** Found to be garbage in this run; with `dry-run`, what would have been. */
  readonly garbage: ObjectTally
  /** In the trash now: undo brings it back. */
  readonly trash: ObjectTally
  /** Brought back from the trash, by undo or because a root leads to it again. */
  readonly restored: ObjectTally
  /** Bytes that the filesystem got back, less what was written anew. */
  readonly freedBytes: number
  readonly removedPacks: number
  /** Packs of which the live part was copied into new ones. */
  readonly rewrittenPacks: number
  /** Sessions that must end before the garbage can be put away; repeat the run then. */
  readonly waitingFor: readonly number[]
  readonly problems: readonly GcProblem[]
}

/** Gathers a report. */
export class GcLedger {
  reachable: ObjectTally = none
  garbage: ObjectTally = none
  trash: ObjectTally = none
  restored: ObjectTally = none
  freedBytes = 0
  removedPacks = 0
  rewrittenPacks = 0
  waitingFor: readonly number[] = []
  readonly problems: GcProblem[] = []

  problem(where: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    this.problems.push({ where, message })
  }

  report(): GcReport {
    return {
      reachable: this.reachable,
      garbage: this.garbage,
      trash: this.trash,
      restored: this.restored,
      freedBytes: this.freedBytes,
      removedPacks: this.removedPacks,
      rewrittenPacks: this.rewrittenPacks,
      waitingFor: this.waitingFor,
      problems: this.problems,
    }
  }
}

const none: ObjectTally = { objects: 0, bytes: 0 }

/** How long garbage stays in the trash, unless told. */
export const defaultGrace = 24 * 60 * 60 * 1000
