import {
  type ModificationTime,
  ModificationTimesEncoder,
} from '../../object/modification-times.js'

/** The modification times of a tree's entries, in walk order; 12 bytes each. */
export class EntryTimes {
  #seconds = new BigInt64Array(1024)
  #nanoseconds = new Uint32Array(1024)
  #count = 0

  add(time: ModificationTime): void {
    if (this.#count === this.#seconds.length) this.#grow()
    this.set(this.#count++, time)
  }

  /** Takes another time for an entry that was added. */
  set(ordinal: number, { seconds, nanoseconds }: ModificationTime): void {
    this.#seconds[ordinal] = seconds
    this.#nanoseconds[ordinal] = nanoseconds
  }

  /** As an application keeps them (docs/format.md, extension key 5). */
  finish(): Buffer {
    const encoder = new ModificationTimesEncoder()
    for (let ordinal = 0; ordinal < this.#count; ordinal++) {
      encoder.add({
        seconds: this.#seconds[ordinal] ?? 0n,
        nanoseconds: this.#nanoseconds[ordinal] ?? 0,
      })
    }
    return encoder.finish()
  }

  #grow(): void {
    const seconds = new BigInt64Array(2 * this.#count)
    seconds.set(this.#seconds)
    this.#seconds = seconds
    const nanoseconds = new Uint32Array(2 * this.#count)
    nanoseconds.set(this.#nanoseconds)
    this.#nanoseconds = nanoseconds
  }
}
