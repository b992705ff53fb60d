import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { PlaceTable } from '../store/pack/place-table.js'

/** Remembers which objects a walk has met. */
export type ObjectMemory = {
  /** Notes an object: `new`, `same` as before, or `other` type or size than before. */
  add(descriptor: Descriptor): 'new' | 'same' | 'other'
}

/**
 * The objects that a walk has met, each with the type and size under which it was met
 * first: some 65 bytes an object.
 */
export class SeenObjects implements ObjectMemory {
  readonly #met = new PlaceTable()

  /** Objects met. */
  get count(): number {
    return this.#met.count
  }

  has(digest: Digest): boolean {
    return this.#met.has(digest)
  }

  add({ digest, type, size }: Descriptor): 'new' | 'same' | 'other' {
    const record = { type, codec: 'raw', size, storedSize: size, crc: 0 } as const
    if (this.#met.add(digest, record, 0)) return 'new'
    const before = this.#met.find(digest)
    return before?.type === type && before.size === size ? 'same' : 'other'
  }
}
