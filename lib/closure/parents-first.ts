import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { batchObjects, type ClosureFrontier } from './closure-frontier.js'
import type { Reference } from './closure-problem.js'
import { isInner } from './closure-reader.js'

const batchBytes = 1024 * 1024

/** What is still to be walked of one object's children. */
type Below = { readonly parent: Digest | undefined; readonly left: Iterator<Descriptor> }

/**
 * Walks depth first, so that a tree's width and not its size bounds what waits, and reads
 * the children of what waits only when their turn has come.
 */
export class ParentsFirstWalk {
  readonly #frontier: ClosureFrontier
  readonly #waiting: Below[] = []

  constructor(frontier: ClosureFrontier) {
    this.#frontier = frontier
  }

  async *run(roots: readonly Descriptor[]): AsyncGenerator<readonly Reference[]> {
    const { reader } = this.#frontier
    this.#push(undefined, roots)
    for (let batch = this.#pop(); batch.length > 0; batch = this.#pop()) {
      this.#frontier.throwIfAborted()
      const confirmed = await reader.confirm(batch)
      const inner = confirmed.filter(({ descriptor }) => isInner(descriptor))
      const dependencies = inner.length > 0 ? await reader.dependencies(inner) : []
      const corrupt = new Set<Reference>()
      // In reverse, so that what stands first is walked first.
      for (let index = inner.length - 1; index >= 0; index--) {
        const reference = inner[index]
        if (reference === undefined) continue
        const below = dependencies[index]
        if (below === undefined) corrupt.add(reference)
        else this.#push(reference.descriptor.digest, below)
      }
      yield confirmed.filter(reference => !corrupt.has(reference))
    }
  }

  #push(parent: Digest | undefined, descriptors: Iterable<Descriptor>): void {
    this.#waiting.push({ parent, left: descriptors[Symbol.iterator]() })
  }

  #pop(): Reference[] {
    const batch: Reference[] = []
    let bytes = 0
    while (batch.length < batchObjects && bytes < batchBytes) {
      const below = this.#waiting.at(-1)
      if (below === undefined) break
      const next = below.left.next()
      if (next.done === true) {
        this.#waiting.pop()
        continue
      }
      const reference = { descriptor: next.value, parent: below.parent }
      if (!this.#frontier.meets(reference)) continue
      batch.push(reference)
      if (isInner(reference.descriptor)) bytes += reference.descriptor.size
    }
    return batch
  }
}
