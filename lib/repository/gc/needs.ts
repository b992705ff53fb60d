import type { Descriptor } from '../../object/descriptor.js'
import type { ObjectStore } from '../../store/object-store.js'
import type { StoreLayout } from '../config.js'
import { newObjectMemory } from '../object-memory.js'
import type { Root, RootOptions } from '../roots.js'
import type { ObjectTally } from './gc-report.js'
import { type RootRooms, RootWalk } from './root-walk.js'

/** What some roots need. */
export type Needs = {
  /** Objects that only they lead to, with their payload bytes. */
  readonly alone: ObjectTally
  /** Objects that others lead to as well. */
  readonly shared: ObjectTally
}

/** Tells what some roots need alone, and what the others share with them. */
export async function needsOf(
  rooms: RootRooms & {
    readonly objects: ObjectStore
    readonly config: { readonly layout: StoreLayout }
  },
  options: Pick<RootOptions, 'window' | 'now'> & {
    readonly signal?: AbortSignal | undefined
    readonly chooses: (root: Root) => boolean
    readonly others: (root: Root) => boolean
  },
): Promise<Needs> {
  const { chooses, others, ...common } = options
  const memory = await newObjectMemory(rooms)
  const rest = new RootWalk(rooms.objects, memory, {
    ...common,
    chooses: others,
    onProblem,
  })
  await rest.walk(rooms)
  const all = new Counted()
  const alone = new Counted()
  const chosen = { ...common, chooses, onProblem }
  await new RootWalk(rooms.objects, await newObjectMemory(rooms), {
    ...chosen,
    onMet: batch => all.add(batch),
  }).walk(rooms)
  await new RootWalk(rooms.objects, memory, {
    ...chosen,
    onMet: batch => alone.add(batch),
  }).walk(rooms)
  return {
    alone: { objects: alone.objects, bytes: alone.bytes },
    shared: { objects: all.objects - alone.objects, bytes: all.bytes - alone.bytes },
  }
}

// What cannot be read would make every number wrong.
function onProblem(_: string, error: Error): never {
  throw error
}

class Counted {
  objects = 0
  bytes = 0

  add(batch: readonly Descriptor[]): void {
    this.objects += batch.length
    for (const { size } of batch) this.bytes += size
  }
}
