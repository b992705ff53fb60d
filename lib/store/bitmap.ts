/** A fixed row of bits. */
export class Bitmap {
  readonly length: number
  readonly #words: Uint32Array

  constructor(length: number) {
    this.length = length
    this.#words = new Uint32Array(Math.ceil(length / 32))
  }

  get(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0
  }

  set(index: number): void {
    if (index < 0 || index >= this.length) throw new RangeError(`no bit ${index}`)
    this.#words[index >>> 5] = (this.#words[index >>> 5] ?? 0) | (1 << (index & 31))
  }

  /** How many bits are set. */
  count(): number {
    let count = 0
    for (let index = 0; index < this.length; index++) if (this.get(index)) count++
    return count
  }
}
