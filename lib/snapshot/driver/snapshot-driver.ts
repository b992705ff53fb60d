import type { Mount, Usage } from '../snapshot.js'
import type { CallOptions } from '../snapshotter.js'
import type { IdMapping } from './id-mapping.js'

/** The ways in which snapshots can lie on disk. */
export type DriverName = 'overlay' | 'native'

/** A layer, as a driver needs to know it. */
export type Layer = {
  /** Names its folder. */
  readonly id: string
  /** Only to be looked at. */
  readonly readOnly: boolean
  /** The layers below, nearest first. */
  readonly parents: readonly string[]
  /** Which owners the tree has outside a user namespace that it is for. */
  readonly mapping?: IdMapping
}

/**
 * How layers lie on disk and are mounted. Drivers know nothing of keys and kinds; who
 * calls keeps calls for one layer apart.
 */
export interface SnapshotDriver {
  readonly name: DriverName

  /** Whether a layer on top of nothing can be put on others after it was written. */
  readonly canRebase: boolean

  /** Makes what a layer needs on disk; on failure, parts may stay until it is removed. */
  create(layer: Layer, options?: CallOptions): Promise<void>

  /** Whether what a layer needs is there. */
  exists(layer: Layer): boolean

  /** Whether a layer that nothing was written to can be made again without its parents' files. */
  startsEmpty(layer: Layer): boolean

  /** Takes a layer away, at once whatever its size; nothing when there is none. */
  remove(id: string): void

  /** How a layer is mounted; the same for the same layer. */
  mounts(layer: Layer): readonly Mount[]

  /** Counts what a layer of its own takes on disk. */
  usage(id: string, options?: CallOptions): Promise<Usage>
}
