import { join } from 'node:path'
import { type Digest, digestBytes } from '../../object/digest.js'
import type { ObjectInfo } from '../../store/object-store.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import { PackFolder } from '../../store/pack/pack-folder.js'

/** What is known of an object without reading it, and a number that is its own. */
export type NumberedObject = {
  /** From 0 on; less than the numbers' `limit`. */
  readonly number: number
  /** Bytes that it takes where it is stored; undefined where that is not known. */
  readonly storedBytes: number | undefined
}

/**
 * Numbers the objects of a repository, so that a byte or a bit can stand for each: in
 * packs by pack and place in its index, as the packs are now; others as they come.
 */
export class ObjectNumbers implements Disposable {
  readonly #folder: PackFolder | undefined
  readonly #bases = new Map<string, number>()
  readonly #others = new Map<Digest, number>()
  #limit = 0

  /** @param packs - of a repository that has packs: its folder */
  constructor(packs?: string) {
    if (packs === undefined) return
    this.#folder = new PackFolder(packs)
    this.#folder.refresh()
    for (const pack of this.#folder.packs) {
      this.#bases.set(pack.name, this.#limit)
      this.#limit += pack.index.count
    }
  }

  /** Every pack that could be read. */
  get packs(): readonly PackFile[] {
    return this.#folder?.packs ?? []
  }

  /** Above every number given so far. */
  get limit(): number {
    return this.#limit
  }

  of(digest: Digest): NumberedObject {
    const found = this.#folder?.find(digest)
    const base = found && this.#bases.get(found.pack.name)
    if (found !== undefined && base !== undefined) {
      const ordinal = found.pack.index.ordinal(digestBytes(digest))
      if (ordinal !== undefined) {
        return { number: base + ordinal, storedBytes: found.place.storedSize }
      }
    }
    const known = this.#others.get(digest)
    if (known !== undefined) return { number: known, storedBytes: undefined }
    this.#others.set(digest, this.#limit)
    return { number: this.#limit++, storedBytes: undefined }
  }

  /** Each object in packs once, as readers see it. */
  *inPacks(): Generator<{
    readonly digest: Digest
    readonly info: ObjectInfo
    readonly storedBytes: number
    readonly isCoded: boolean
  }> {
    for (const pack of this.packs) {
      for (const place of this.#folder?.visiblePlaces(pack) ?? []) {
        const { digest, type, size, storedSize, codec } = place
        // Of several copies one counts.
        if (this.#folder?.find(digest)?.pack !== pack) continue
        const isCoded = codec !== 'raw'
        yield { digest, info: { type, size }, storedBytes: storedSize, isCoded }
      }
    }
  }

  [Symbol.dispose](): void {
    this.#folder?.[Symbol.dispose]()
  }
}

/** The numbers of a repository's objects; the caller disposes them. */
export function numberObjects({
  root,
  config,
}: {
  readonly root: string
  readonly config: { readonly layout: 'loose' | 'pack' }
}): ObjectNumbers {
  return new ObjectNumbers(config.layout === 'pack' ? join(root, 'packs') : undefined)
}

/** A small number for each object, 0 at first. */
export class NumberTable {
  #values: Uint16Array

  constructor(limit: number) {
    this.#values = new Uint16Array(limit)
  }

  get(number: number): number {
    return this.#values[number] ?? 0
  }

  set(number: number, value: number): void {
    if (number >= this.#values.length) {
      const larger = new Uint16Array(2 * number + 64)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[number] = value
  }
}
