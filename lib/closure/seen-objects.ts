import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { objectTypeByte } from '../object/object-type.js'

/** Remembers which objects a walk has met. */
export type ObjectMemory = {
  /** Notes an object: `new`, `same` as before, or `other` type or size than before. */
  add(descriptor: Descriptor): 'new' | 'same' | 'other'
}

/**
 * The objects that a walk has met, each with the type and size under which it was met
 * first.
 */
export class SeenObjects implements ObjectMemory {
  readonly #links = new Map<Digest, number>()

  add(descriptor: Descriptor): 'new' | 'same' | 'other' {
    const link = linkOf(descriptor)
    const before = this.#links.get(descriptor.digest)
    if (before === undefined) {
      this.#links.set(descriptor.digest, link)
      return 'new'
    }
    return before === link ? 'same' : 'other'
  }
}

// Exact below 2^51; no file is as large as that, and the larger ones fail their check.
function linkOf({ type, size }: Descriptor): number {
  return size * 4 + objectTypeByte(type)
}
