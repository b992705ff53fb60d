import { ByteReader } from './byte-reader.js'
import type { Descriptor } from './descriptor.js'
import { addDependencies, type DirectoryEntry, readEntry } from './directory.js'
import { walkDirectory } from './directory-walk.js'
import type { Strictness } from './strictness.js'

const pageEntries = 1024

/**
 * The entries of a directory payload, decoded page by page as they are asked for: a wide
 * directory takes little more memory than its payload, which must not change.
 */
export class DirectoryView implements Iterable<DirectoryEntry> {
  readonly #payload: Uint8Array
  readonly #strictness: Strictness
  /** Where each page starts in the payload. */
  readonly #starts: number[] = []
  #length = 0
  #page = { number: 0, entries: [] as DirectoryEntry[] }

  /** Checks all that decodeDirectory checks; throws InvalidObjectError. */
  constructor(payload: Uint8Array, strictness: Strictness) {
    this.#payload = payload
    this.#strictness = strictness
    for (const { entry, start } of walkDirectory(payload, strictness)) {
      if (this.#length % pageEntries === 0) this.#starts.push(start)
      if (this.#starts.length === 1) this.#page.entries.push(entry)
      this.#length += 1
    }
  }

  get length(): number {
    return this.#length
  }

  at(index: number): DirectoryEntry | undefined {
    return this.#entriesOf(Math.floor(index / pageEntries))[index % pageEntries]
  }

  /** Entries from `start` to in front of `end`, or to the last. */
  slice(start: number, end: number): DirectoryEntry[] {
    const entries: DirectoryEntry[] = []
    const stop = Math.min(end, this.#length)
    for (let index = start; index < stop; ) {
      const page = Math.floor(index / pageEntries)
      const before = page * pageEntries
      const part = this.#entriesOf(page).slice(index - before, stop - before)
      for (const entry of part) entries.push(entry)
      index += part.length
    }
    return entries
  }

  find(isWanted: (entry: DirectoryEntry) => boolean): DirectoryEntry | undefined {
    for (const entry of this) if (isWanted(entry)) return entry
    return undefined
  }

  *[Symbol.iterator](): Generator<DirectoryEntry, void> {
    for (let page = 0; page < this.#starts.length; page++) yield* this.#entriesOf(page)
  }

  /** What the directory refers to, in the order of format section 4. */
  *dependencies(): Generator<Descriptor, void> {
    const dependencies: Descriptor[] = []
    for (const entry of this) {
      dependencies.length = 0
      addDependencies(entry, dependencies)
      yield* dependencies
    }
  }

  #entriesOf(page: number): readonly DirectoryEntry[] {
    if (this.#page.number === page) return this.#page.entries
    const start = this.#starts[page]
    if (start === undefined) return []
    const reader = new ByteReader(this.#payload.subarray(start), 'directory')
    const count = Math.min(pageEntries, this.#length - page * pageEntries)
    const entries: DirectoryEntry[] = []
    for (let index = 0; index < count; index++) {
      entries.push(readEntry(reader, this.#strictness))
    }
    this.#page = { number: page, entries }
    return entries
  }
}
