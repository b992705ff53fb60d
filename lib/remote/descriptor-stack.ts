import type { Descriptor } from '../object/descriptor.js'

/** Descriptors in reverse order: last in, first out. */
export class DescriptorStack {
  readonly #maximum: number
  readonly #items: Descriptor[] = []

  /** `maximum` is advice that `full` gives: nothing is refused. 0 means none. */
  constructor(maximum = 0) {
    this.#maximum = maximum
  }

  get length(): number {
    return this.#items.length
  }

  get empty(): boolean {
    return this.#items.length === 0
  }

  get full(): boolean {
    return this.#maximum > 0 && this.#items.length >= this.#maximum
  }

  pushFront(descriptor: Descriptor): void {
    this.#items.push(descriptor)
  }

  /** The descriptor that pop would take. */
  peek(): Descriptor | undefined {
    return this.#items.at(-1)
  }

  pop(): Descriptor | undefined {
    return this.#items.pop()
  }
}
