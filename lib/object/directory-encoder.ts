import { InvalidObjectError } from '../errors.js'
import { ByteWriter } from './byte-writer.js'
import type { SubObjectTotals } from './descriptor.js'
import {
  checkedTotals,
  compareEntries,
  type DirectoryEntry,
  entryBytes,
  findEntryProblem,
  outOfOrder,
  repeated,
  TotalsSum,
  writeEntry,
} from './directory.js'
import { findNameOfTwoKinds } from './directory-walk.js'

/**
 * Encodes a directory entry by entry, so that the entries themselves need not be kept: as
 * encodeDirectory does, and with the same errors.
 */
export class DirectoryEncoder {
  readonly #writer: ByteWriter
  readonly #totals = new TotalsSum()
  #count = 0
  #before: DirectoryEntry | undefined
  #othersStart: number | undefined

  /**
   * @param expected - entries and bytes of their names: room that need not grow, so that a
   *   wide directory is not held twice
   */
  constructor(expected: { readonly entries: number; readonly nameBytes: number }) {
    const bytes = 4 + expected.entries * entryBytes + expected.nameBytes
    this.#writer = new ByteWriter(bytes).u32(0, 'entry count')
  }

  /** Entries so far. */
  get count(): number {
    return this.#count
  }

  /** Adds the next entry in stored order. */
  add(entry: DirectoryEntry): void {
    const before = this.#before
    const isInOrder = before === undefined || compareEntries(before, entry) < 0
    const problem =
      findEntryProblem(entry) ?? (isInOrder ? undefined : outOfOrder(before, entry))
    if (problem !== undefined) throw invalid(problem)
    if (entry.kind !== 'directory') this.#othersStart ??= this.#writer.length
    writeEntry(this.#writer, entry)
    this.#totals.add(entry)
    this.#before = entry
    this.#count += 1
  }

  /** What lies below it; throws NotRepresentableError when a total is beyond its field. */
  totals(): SubObjectTotals {
    const { count, size } = this.#totals.exact()
    return checkedTotals(count, size)
  }

  /** The payload; nothing can be added any more. */
  finish(): Buffer {
    const payload = this.#writer.finish()
    payload.writeUInt32LE(this.#count, 0)
    const name = findNameOfTwoKinds(payload, this.#othersStart ?? payload.length)
    if (name !== undefined) throw invalid(repeated(name))
    return payload
  }
}

function invalid(problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid directory: ${problem}`, { what: 'directory' })
}
