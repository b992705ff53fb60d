import { walkClosure } from '../../closure/closure-walk.js'
import { SeenObjects } from '../../closure/seen-objects.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../../store/object-store.js'
import { plainSource, type StreamSource } from '../../store/pack/pack-stream-writer.js'

/** Payload bytes of a segment on the wire: what a cut connection loses at most. */
export const wireSegmentBytes = 1024 * 1024

/** What need not be sent. */
export type DifferenceOptions = {
  /** Roots that the other side holds with everything below them. */
  readonly held: readonly Descriptor[]
  /** As held, one by one: whatever is below them is there, too. */
  readonly known?: readonly Digest[]
  readonly signal?: AbortSignal | undefined
}

/** Everything that `root` leads to and the other side lacks, children first. */
export async function* closureDifference(
  objects: ObjectReader,
  roots: readonly Descriptor[],
  { held, known = [], signal }: DifferenceOptions,
): AsyncGenerator<readonly Digest[]> {
  const memory = new SeenObjects()
  const watched = signal === undefined ? {} : { signal }
  const passed = walkClosure(objects, held, { memory, onProblem: ignore, ...watched })
  while ((await passed.next()).done !== true);
  const left = new Set(known)
  const walk = walkClosure(objects, roots, {
    order: 'children-first',
    memory,
    prune: ({ digest }) => left.has(digest),
    ...watched,
  })
  for await (const batch of walk) yield batch.map(({ digest }) => digest)
}

// What is damaged there is not needed here: the other side has it.
function ignore(): void {}

/** Gives objects as they are stored, where the store can, and plain otherwise. */
export function storedSource(objects: ObjectReader): StreamSource {
  return 'readStored' in objects
    ? (objects as ObjectReader & StreamSource)
    : plainSource(objects)
}
