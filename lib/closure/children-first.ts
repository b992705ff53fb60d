import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { batchObjects, type ClosureFrontier } from './closure-frontier.js'
import type { Reference } from './closure-problem.js'
import { isInner } from './closure-reader.js'

/** An object whose children are being walked; without a reference: the roots. */
type Frame = {
  readonly reference?: Reference
  readonly below: readonly Reference[]
  next: number
}

/** Walks depth first and gives each object when it is left. */
export class ChildrenFirstWalk {
  readonly #frontier: ClosureFrontier
  readonly #path: Frame[] = []
  #done: Reference[] = []

  constructor(frontier: ClosureFrontier) {
    this.#frontier = frontier
  }

  async *run(roots: readonly Descriptor[]): AsyncGenerator<readonly Reference[]> {
    this.#path.push({ below: referencesFrom(undefined, roots), next: 0 })
    for (let frame = this.#path.at(-1); frame; frame = this.#path.at(-1)) {
      const reference = frame.below[frame.next++]
      if (reference === undefined) {
        this.#path.pop()
        if (frame.reference !== undefined) this.#done.push(frame.reference)
      } else if (this.#frontier.meets(reference)) {
        if (isInner(reference.descriptor)) await this.#descend(reference)
        else this.#done.push(reference)
      }
      if (this.#done.length >= batchObjects) yield await this.#takeDone()
    }
    yield await this.#takeDone()
  }

  async #descend(reference: Reference): Promise<void> {
    this.#frontier.throwIfAborted()
    const { reader } = this.#frontier
    const confirmed = await reader.confirm([reference])
    const [dependencies] = await reader.dependencies(confirmed)
    if (dependencies === undefined) return
    const below = referencesFrom(reference.descriptor.digest, dependencies)
    this.#path.push({ reference, below, next: 0 })
  }

  /** What is done, without the files and headers that are not what they should be. */
  async #takeDone(): Promise<readonly Reference[]> {
    this.#frontier.throwIfAborted()
    const done = this.#done
    this.#done = []
    const leaves = done.filter(({ descriptor }) => !isInner(descriptor))
    const confirmed = new Set(await this.#frontier.reader.confirm(leaves))
    return done.filter(one => isInner(one.descriptor) || confirmed.has(one))
  }
}

function referencesFrom(
  parent: Digest | undefined,
  descriptors: readonly Descriptor[],
): Reference[] {
  return descriptors.map(descriptor => ({ descriptor, parent }))
}
