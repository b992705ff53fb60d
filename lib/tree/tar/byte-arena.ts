const pageBytes = 1024 * 1024

/** Short byte strings kept back to back, so that each costs little more than its bytes. */
export class ByteArena {
  readonly #pages: Buffer[] = []
  #used = pageBytes
  #length = 0

  /** Bytes kept. */
  get length(): number {
    return this.#length
  }

  /** Keeps a copy and tells its place; it must be shorter than a page. */
  add(bytes: Uint8Array): number {
    if (this.#used + bytes.length > pageBytes) {
      this.#pages.push(Buffer.allocUnsafeSlow(pageBytes))
      this.#used = 0
    }
    const page = this.#pages.length - 1
    this.#pages[page]?.set(bytes, this.#used)
    const place = page * pageBytes + this.#used
    this.#used += bytes.length
    this.#length += bytes.length
    return place
  }

  /** The bytes at a place, not a copy. */
  get(place: number, length: number): Buffer {
    const page = this.#pages[Math.floor(place / pageBytes)]
    if (page === undefined) throw new Error(`nothing was kept at ${place}`)
    const start = place % pageBytes
    return page.subarray(start, start + length)
  }
}

/** Records of equal length, by number. */
export class RecordPages {
  readonly #recordBytes: number
  readonly #pages: Buffer[] = []
  #count = 0

  constructor(recordBytes: number) {
    this.#recordBytes = recordBytes
  }

  get count(): number {
    return this.#count
  }

  /** Adds a record of zeros and tells its number. */
  add(): number {
    if (this.#count % recordsPerPage === 0) {
      this.#pages.push(Buffer.alloc(recordsPerPage * this.#recordBytes))
    }
    return this.#count++
  }

  /** The page that a record is in. */
  page(index: number): Buffer {
    const page = this.#pages[index >>> pageShift]
    if (page === undefined) throw new Error(`there is no record ${index}`)
    return page
  }

  /** Where in its page a record starts. */
  start(index: number): number {
    return (index & (recordsPerPage - 1)) * this.#recordBytes
  }
}

const pageShift = 14
const recordsPerPage = 1 << pageShift
