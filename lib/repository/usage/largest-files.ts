import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'

/** Keeps the largest of the files that it is told of. */
export class LargestFiles {
  readonly #most: number
  #files: { readonly digest: Digest; readonly size: number }[] = []
  #least = -1

  constructor(most: number) {
    this.#most = most
  }

  add({ digest, type, size }: Pick<Descriptor, 'digest' | 'type' | 'size'>): void {
    if (type !== 'file' || size < this.#least || this.#most === 0) return
    this.#files.push({ digest, size })
    if (this.#files.length < 2 * this.#most) return
    this.#files = this.list().slice()
    this.#least = this.#files.at(-1)?.size ?? -1
  }

  /** The largest first; of equal ones the lower digest. */
  list(): readonly { readonly digest: Digest; readonly size: number }[] {
    return this.#files
      .toSorted((one, other) =>
        one.size === other.size
          ? one.digest < other.digest
            ? -1
            : 1
          : other.size - one.size,
      )
      .slice(0, this.#most)
  }
}
