import type { Descriptor } from '../object/descriptor.js'

/** Descriptors in the order they came: first in, first out. */
export class DescriptorQueue {
  readonly #maximum: number
  #items: Descriptor[] = []
  #head = 0

  /** `maximum` is advice that `full` gives: nothing is refused. 0 means none. */
  constructor(maximum = 0) {
    this.#maximum = maximum
  }

  get length(): number {
    return this.#items.length - this.#head
  }

  get empty(): boolean {
    return this.length === 0
  }

  get full(): boolean {
    return this.#maximum > 0 && this.length >= this.#maximum
  }

  pushBack(descriptor: Descriptor): void {
    this.#items.push(descriptor)
  }

  /** The descriptor that pop would take. */
  peek(): Descriptor | undefined {
    return this.#items[this.#head]
  }

  /** The first `count` descriptors, or as many as there are. */
  first(count: number): readonly Descriptor[] {
    return this.#items.slice(this.#head, this.#head + count)
  }

  pop(): Descriptor | undefined {
    const first = this.#items[this.#head]
    if (first === undefined) return undefined
    this.#head += 1
    // Shifting an array costs its length each time; this costs it once in a while.
    if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return first
  }
}
