import type { ObjectMemory } from '../../closure/seen-objects.js'
import type { Descriptor } from '../../object/descriptor.js'
import { type Digest, digestBytes } from '../../object/digest.js'
import { OrdinalSet, type Purpose } from '../../store/pack/condemned-list.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import type { PackFolder } from '../../store/pack/pack-folder.js'

/**
 * Which objects of packs a walk has met: one bit each, by pack and ordinal.
 *
 * Of several copies of an object one is marked, one that is to stay if there is any.
 */
export class ObjectMarks implements ObjectMemory {
  readonly #folder: PackFolder
  readonly #purpose: Purpose
  readonly #sets = new Map<string, OrdinalSet>()
  readonly #absent = new Set<Digest>()
  #objects = 0
  #bytes = 0

  /** @param purpose - which objects count as absent */
  constructor(folder: PackFolder, purpose: Purpose = 'collect') {
    this.#folder = folder
    this.#purpose = purpose
  }

  get objects(): number {
    return this.#objects
  }

  /** Bytes that the marked objects take in their packs. */
  get bytes(): number {
    return this.#bytes
  }

  of(pack: string): OrdinalSet | undefined {
    return this.#sets.get(pack)
  }

  has(pack: string, ordinal: number): boolean {
    return this.#sets.get(pack)?.has(ordinal) === true
  }

  add(descriptor: Descriptor): 'new' | 'same' | 'other' {
    const { digest, type, size } = descriptor
    const found = this.#folder.findFresh(digest, this.#purpose)
    if (found === undefined) {
      if (this.#absent.has(digest)) return 'same'
      this.#absent.add(digest)
      return 'new'
    }
    const { pack, place } = found
    if (place.type !== type || place.size !== size) return 'other'
    if (!this.#set(pack, digest)) return 'same'
    this.#objects += 1
    this.#bytes += place.storedSize
    return 'new'
  }

  #set(pack: PackFile, digest: Digest): boolean {
    const ordinal = pack.index.ordinal(digestBytes(digest))
    if (ordinal === undefined) throw new Error(`no ordinal for ${digest} in ${pack.path}`)
    let set = this.#sets.get(pack.name)
    if (set === undefined) {
      set = new OrdinalSet(pack.index.count)
      this.#sets.set(pack.name, set)
    }
    return set.add(ordinal)
  }
}
