import type { Descriptor } from '../object/descriptor.js'
import type { ObjectReader } from '../store/object-store.js'
import { ChildrenFirstWalk } from './children-first.js'
import { ClosureFrontier, type FrontierOptions } from './closure-frontier.js'
import { ParentsFirstWalk } from './parents-first.js'

/**
 * `parents-first`: each object after one that refers to it. `children-first`: each object
 * after everything that it refers to.
 */
export type ClosureOrder = 'parents-first' | 'children-first'

/** How to walk a closure. */
export type ClosureWalkOptions = FrontierOptions & {
  /** Parents first unless told. */
  readonly order?: ClosureOrder
}

/**
 * Walks everything that the roots refer to, the roots included: each distinct object
 * once, in batches.
 *
 * Directories and applications are read and verified; of files and headers it is
 * confirmed that they are present with the type and size that the reference names.
 * Totals are not compared. Work and memory are bounded by distinct objects, whatever
 * number of paths they spell and however deep they nest.
 */
export async function* walkClosure(
  reader: ObjectReader,
  roots: readonly Descriptor[],
  options: ClosureWalkOptions = {},
): AsyncGenerator<readonly Descriptor[]> {
  const frontier = new ClosureFrontier(reader, options)
  const walk =
    options.order === 'children-first'
      ? new ChildrenFirstWalk(frontier)
      : new ParentsFirstWalk(frontier)
  for await (const batch of walk.run(roots)) {
    if (batch.length > 0) yield batch.map(({ descriptor }) => descriptor)
  }
}
