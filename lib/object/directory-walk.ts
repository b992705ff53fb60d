import { ByteReader } from './byte-reader.js'
import {
  compareEntries,
  type DirectoryEntry,
  type ExactTotals,
  findEntryProblem,
  outOfOrder,
  readEntry,
  readEntryCount,
  repeated,
  TotalsSum,
} from './directory.js'
import type { Steps } from './in-steps.js'
import type { Strictness } from './strictness.js'

/** Entries that are worked on before others have their turn: some milliseconds. */
export const entriesInStep = 2048

/** An entry, and where it starts in its payload. */
export type WalkedEntry = { readonly entry: DirectoryEntry; readonly start: number }

/**
 * Gives the entries of a directory payload one by one, so that a directory of any size
 * takes no memory beside its payload; throws InvalidObjectError.
 *
 * Checks what decodeDirectory checks. Only a walk to its end has checked all.
 */
export function* walkDirectory(
  payload: Uint8Array,
  strictness: Strictness,
): Generator<WalkedEntry, void> {
  const reader = new ByteReader(payload, 'directory')
  const count = readEntryCount(reader)
  let before: DirectoryEntry | undefined
  let othersStart: number | undefined
  let isInOrder = true
  for (let index = 0; index < count; index++) {
    const start = reader.offset
    const entry = readEntry(reader, strictness)
    const entryProblem = findEntryProblem(entry)
    if (entryProblem !== undefined) throw reader.invalid(entryProblem)
    if (before !== undefined && compareEntries(before, entry) >= 0) {
      if (strictness === 'strict') throw reader.invalid(outOfOrder(before, entry))
      isInOrder = false
    }
    if (entry.kind !== 'directory') othersStart ??= start
    yield { entry, start }
    before = entry
  }
  if (strictness === 'strict') reader.end()
  const entries = payload.subarray(0, reader.offset)
  const name = isInOrder
    ? findNameOfTwoKinds(entries, othersStart ?? entries.length)
    : findRepeatedName(entries)
  if (name !== undefined) throw reader.invalid(repeated(name))
}

/**
 * Adds up what lies below a directory that was checked when it was stored; throws
 * InvalidObjectError for what cannot be read.
 */
export function* sumDirectory(payload: Uint8Array): Steps<ExactTotals> {
  const reader = new ByteReader(payload, 'directory')
  const count = readEntryCount(reader)
  const totals = new TotalsSum()
  for (let index = 0; index < count; index++) {
    totals.add(readEntry(reader, 'tolerant'))
    if (index % entriesInStep === entriesInStep - 1) yield
  }
  return totals.exact()
}

/**
 * Finds a name that a directory and another entry have: each kind is in order, so a merge
 * of the two finds it without a table of names.
 */
export function findNameOfTwoKinds(
  payload: Uint8Array,
  othersStart: number,
): Buffer | undefined {
  const directories = new NameReader(payload.subarray(0, othersStart), 4)
  const others = new NameReader(payload, othersStart)
  let other = others.next()
  for (let name = directories.next(); name !== undefined; name = directories.next()) {
    let order = -1
    while (other !== undefined) {
      order = Buffer.compare(other, name)
      if (order >= 0) break
      other = others.next()
    }
    if (other === undefined) return undefined
    if (order === 0) return name
  }
  return undefined
}

function findRepeatedName(payload: Uint8Array): Buffer | undefined {
  const names = new NameReader(payload, 4)
  const met = new Set<string>()
  for (let name = names.next(); name !== undefined; name = names.next()) {
    const key = name.toString('latin1')
    if (met.has(key)) return name
    met.add(key)
  }
  return undefined
}

/** Reads the names alone, of entries that were checked before. */
class NameReader {
  readonly #reader: ByteReader

  constructor(payload: Uint8Array, start: number) {
    this.#reader = new ByteReader(payload, 'directory')
    this.#reader.bytes(Math.min(start, payload.length), 'entries')
  }

  next(): Buffer | undefined {
    const reader = this.#reader
    if (reader.left === 0) return undefined
    const name = reader.prefixed('entry name')
    reader.u8('entry type')
    reader.prefixed('link target')
    reader.prefixed('header digest')
    reader.bytes(8, 'header size')
    reader.prefixed('object digest')
    reader.bytes(8 + 4 + 8, 'sizes')
    return name
  }
}
