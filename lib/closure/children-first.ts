import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { batchObjects, type ClosureFrontier } from './closure-frontier.js'
import type { Reference } from './closure-problem.js'
import { isInner } from './closure-reader.js'

/** An object whose children are being walked; without a reference: the roots. */
type Frame = {
  readonly reference?: Reference
  readonly below: Iterator<Descriptor>
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
    this.#path.push({ below: roots[Symbol.iterator]() })
    for (let frame = this.#path.at(-1); frame; frame = this.#path.at(-1)) {
      const next = frame.below.next()
      if (next.done === true) {
        this.#path.pop()
        if (frame.reference !== undefined) this.#done.push(frame.reference)
      } else {
        const descent = this.#meet(next.value, frame.reference?.descriptor.digest)
        // Files and headers, by far the most, cost no promise.
        if (descent !== undefined) await descent
      }
      if (this.#done.length >= batchObjects) yield await this.#takeDone()
    }
    yield await this.#takeDone()
  }

  #meet(descriptor: Descriptor, parent: Digest | undefined): Promise<void> | undefined {
    const reference = { descriptor, parent }
    if (!this.#frontier.meets(reference)) return undefined
    if (isInner(descriptor)) return this.#descend(reference)
    this.#done.push(reference)
    return undefined
  }

  async #descend(reference: Reference): Promise<void> {
    this.#frontier.throwIfAborted()
    const { reader } = this.#frontier
    const confirmed = await reader.confirm([reference])
    const [dependencies] = await reader.dependencies(confirmed)
    if (dependencies === undefined) return
    this.#path.push({ reference, below: dependencies[Symbol.iterator]() })
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
