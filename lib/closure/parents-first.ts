import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { batchObjects, type ClosureFrontier } from './closure-frontier.js'
import type { Reference } from './closure-problem.js'
import { isInner } from './closure-reader.js'

const batchBytes = 8 * 1024 * 1024

/** Walks depth first, so that a tree's width and not its size bounds what waits. */
export class ParentsFirstWalk {
  readonly #frontier: ClosureFrontier
  readonly #waiting: Reference[] = []

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

  #push(parent: Digest | undefined, descriptors: readonly Descriptor[]): void {
    const met = descriptors
      .map(descriptor => ({ descriptor, parent }))
      .filter(reference => this.#frontier.meets(reference))
    for (const reference of met.toReversed()) this.#waiting.push(reference)
  }

  #pop(): Reference[] {
    const batch: Reference[] = []
    let bytes = 0
    while (batch.length < batchObjects && bytes < batchBytes) {
      const reference = this.#waiting.pop()
      if (reference === undefined) break
      batch.push(reference)
      if (isInner(reference.descriptor)) bytes += reference.descriptor.size
    }
    return batch
  }
}
