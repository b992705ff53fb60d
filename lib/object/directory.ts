import { InvalidObjectError, NotRepresentableError } from '../errors.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import {
  type Descriptor,
  leafDescriptor,
  type ObjectLink,
  type SubObjectTotals,
} from './descriptor.js'
import { findNameProblem } from './entry-name.js'
import { escapeBytes } from './escape.js'
import type { EntryKind } from './file-mode.js'
import { minHeaderBytes } from './header.js'
import type { Strictness } from './strictness.js'

/** A directory object that an entry or an application refers to. */
export type DirectoryLink = ObjectLink & SubObjectTotals

/** Sums of format section 2.3 before they are checked against their fields. */
export type ExactTotals = { readonly count: bigint; readonly size: bigint }

type EntryCommon = {
  /** One path component: raw bytes. */
  readonly name: Buffer
  readonly header: ObjectLink
}

/**
 * One entry of a directory.
 *
 * `unknown` is entry type 0: the original program writes it for character devices, and
 * the header's mode tells what the entry is.
 */
export type DirectoryEntry =
  | (EntryCommon & { readonly kind: 'regular'; readonly file: ObjectLink })
  | (EntryCommon & { readonly kind: 'directory'; readonly directory: DirectoryLink })
  | (EntryCommon & { readonly kind: 'symlink'; readonly target: Buffer })
  | (EntryCommon & {
      readonly kind: 'block-device' | 'char-device' | 'fifo' | 'socket' | 'unknown'
    })

/** Entries in stored order: directories first, then all others, each by name bytes. */
export type Directory = readonly DirectoryEntry[]

const noBytes = Buffer.alloc(0)
// u32 count and u64 size of 0.
const noTotals = Buffer.alloc(12)

/** Payload bytes of an empty directory: the smallest one. */
export const minDirectoryBytes = 4

/** Bytes of the longest symlink target that Linux can make: PATH_MAX less the NUL. */
const maxTargetBytes = 4095
const smallSizeLimit = 2 ** 52
const maxCount = 0xffff_ffffn
const maxSize = 0xffff_ffff_ffff_ffffn

const kinds = [
  'unknown',
  'block-device',
  'char-device',
  'directory',
  'fifo',
  'symlink',
  'regular',
  'socket',
] as const

const kindBytes: Readonly<Record<EntryKind | 'unknown', number>> = {
  unknown: 0,
  'block-device': 1,
  'char-device': 2,
  directory: 3,
  fifo: 4,
  symlink: 5,
  regular: 6,
  socket: 7,
}

// name 2+1, type 1, target 2, header digest 2+29, header size 8, object digest 2,
// object size 8, totals 12: the least that an entry can take.
const minEntryBytes = 67

// The least has a name of 1 byte, a header digest of 29 bytes, and no object.
/** Bytes of an entry without its name, where digests have 33 bytes. */
export const entryBytes = minEntryBytes - 1 + 4 + 33

/** Orders two entries as a directory object stores them. */
export function compareEntries(one: DirectoryEntry, other: DirectoryEntry): number {
  const oneRank = one.kind === 'directory' ? 0 : 1
  const otherRank = other.kind === 'directory' ? 0 : 1
  return oneRank - otherRank || Buffer.compare(one.name, other.name)
}

/**
 * Encodes a directory (format section 2.2).
 *
 * Throws InvalidObjectError for entries that are not in stored order, repeat a name or
 * have an impossible one.
 */
export function encodeDirectory(entries: Directory): Buffer {
  const writer = new ByteWriter(estimateBytes(entries))
  writer.u32(entries.length, 'entry count')
  for (const entry of entries) {
    const problem = findEntryProblem(entry)
    if (problem !== undefined) throw invalidDirectory(problem)
    writeEntry(writer, entry)
  }
  const problem = findNamesProblem(entries, 'strict')
  if (problem !== undefined) throw invalidDirectory(problem)
  return writer.finish()
}

/**
 * Decodes a directory payload; throws InvalidObjectError.
 *
 * Impossible and repeated names are refused always. Strict, it also refuses entries out of
 * order, fields that an entry's kind does not have, and bytes after the end.
 */
export function decodeDirectory(payload: Uint8Array, strictness: Strictness): Directory {
  const reader = new ByteReader(payload, 'directory')
  const count = readEntryCount(reader)
  const entries: DirectoryEntry[] = []
  for (let index = 0; index < count; index++) {
    const entry = readEntry(reader, strictness)
    const problem = findEntryProblem(entry)
    if (problem !== undefined) throw reader.invalid(problem)
    entries.push(entry)
  }
  if (strictness === 'strict') reader.end()
  const problem = findNamesProblem(entries, strictness)
  if (problem !== undefined) throw reader.invalid(problem)
  return entries
}

/**
 * Adds up what lies below a directory (format section 2.3), exactly.
 *
 * Throws NotRepresentableError when a total is beyond its field.
 */
export function totalsOf(entries: Iterable<DirectoryEntry>): SubObjectTotals {
  const { count, size } = exactTotalsOf(entries)
  return checkedTotals(count, size)
}

/** Adds up what lies below a directory, whether or not the sums fit their fields. */
export function exactTotalsOf(entries: Iterable<DirectoryEntry>): ExactTotals {
  const sum = new TotalsSum()
  for (const entry of entries) sum.add(entry)
  return sum.exact()
}

/** Adds up what lies below a directory, entry by entry. */
export class TotalsSum {
  #count = 0n
  #size = 0n
  #references = 0
  // Most sizes are small: they are added up as numbers, which carry 2^53 exactly.
  #smallSizes = 0

  add(entry: DirectoryEntry): void {
    this.#references += 1
    this.#addSize(entry.header.size)
    if (entry.kind === 'regular') {
      this.#references += 1
      this.#addSize(entry.file.size)
    } else if (entry.kind === 'directory') {
      const { directory } = entry
      this.#references += 1
      this.#count += BigInt(directory.subObjectCount)
      this.#addSize(directory.size)
      this.#size += directory.subObjectsSize
    }
  }

  exact(): ExactTotals {
    return {
      count: this.#count + BigInt(this.#references),
      size: this.#size + BigInt(this.#smallSizes),
    }
  }

  #addSize(added: number): void {
    if (added > smallSizeLimit) this.#size += BigInt(added)
    else this.#smallSizes += added
    if (this.#smallSizes > smallSizeLimit) {
      this.#size += BigInt(this.#smallSizes)
      this.#smallSizes = 0
    }
  }
}

/** Makes totals of exact sums; throws NotRepresentableError above u32 or u64. */
export function checkedTotals(count: bigint, size: bigint): SubObjectTotals {
  if (count > maxCount || size > maxSize) {
    throw new NotRepresentableError(
      `a tree is too large: expected at most ${maxCount} references and ${maxSize} bytes, ` +
        `found ${count} and ${size}`,
      { count: String(count), size: String(size) },
    )
  }
  return { subObjectCount: Number(count), subObjectsSize: size }
}

/** What a directory refers to, in the order of format section 4. */
export function directoryDependencies(entries: Directory): Descriptor[] {
  const dependencies: Descriptor[] = []
  for (const entry of entries) addDependencies(entry, dependencies)
  return dependencies
}

/** Adds what an entry refers to. */
export function addDependencies(entry: DirectoryEntry, dependencies: Descriptor[]): void {
  dependencies.push(leafDescriptor('header', entry.header))
  if (entry.kind === 'regular') dependencies.push(leafDescriptor('file', entry.file))
  if (entry.kind === 'directory') {
    dependencies.push(directoryDescriptor(entry.directory))
  }
}

/** The descriptor of a directory that an entry or an application refers to. */
export function directoryDescriptor(link: DirectoryLink): Descriptor {
  const { digest, size, subObjectCount, subObjectsSize } = link
  return { digest, size, type: 'directory', subObjectCount, subObjectsSize }
}

// Exact with digests of 33 bytes: a wide directory must not be held twice while it grows.
function estimateBytes(entries: Directory): number {
  let bytes = 4
  for (const entry of entries) {
    bytes += entryBytes + entry.name.length
    if (entry.kind === 'symlink') bytes += entry.target.length
  }
  return bytes
}

/** Writes one entry, without a look at its names. */
export function writeEntry(writer: ByteWriter, entry: DirectoryEntry): void {
  writer
    .prefixed(entry.name, 'entry name')
    .u8(kindBytes[entry.kind])
    .prefixed(entry.kind === 'symlink' ? entry.target : noBytes, 'link target')
    .digest(entry.header.digest)
    .size(entry.header.size, 'header size')
  if (entry.kind === 'directory') {
    const { digest, size, subObjectCount, subObjectsSize } = entry.directory
    writer
      .digest(digest)
      .size(size, 'object size')
      .u32(subObjectCount, 'sub-object count')
      .u64(subObjectsSize, 'sub-objects size')
  } else {
    const file = entry.kind === 'regular' ? entry.file : undefined
    writer
      .digest(file?.digest)
      .size(file?.size ?? 0, 'object size')
      .bytes(noTotals)
  }
}

/** Reads how many entries follow, as many as the bytes behind it can hold. */
export function readEntryCount(reader: ByteReader): number {
  const count = reader.u32('entry count')
  if (count * minEntryBytes > reader.left) {
    throw reader.invalid(
      `${count} entries take at least ${count * minEntryBytes} bytes, found ${reader.left}`,
    )
  }
  return count
}

/** Reads one entry, without a look at its names. */
export function readEntry(reader: ByteReader, strictness: Strictness): DirectoryEntry {
  const name = reader.prefixed('entry name')
  const kindByte = reader.u8('entry type')
  const kind = kinds[kindByte]
  if (kind === undefined) {
    throw reader.invalid(`unknown entry type: expected 0 to 7, found ${kindByte}`)
  }
  const target = reader.prefixed('link target')
  const header = {
    digest: reader.digest('header digest'),
    size: reader.size('header size'),
  }
  const digest = reader.optionalDigest('object digest')
  const size = reader.size('object size')
  const subObjectCount = reader.u32('sub-object count')
  const subObjectsSize = reader.u64('sub-objects size')

  if (strictness === 'strict') {
    if (kind !== 'symlink' && target.length > 0) {
      throw reader.invalid(`a ${kind} entry has no link target`)
    }
    if (kind !== 'directory' && (subObjectCount > 0 || subObjectsSize > 0n)) {
      throw reader.invalid(`a ${kind} entry has no sub-objects`)
    }
  }
  if (kind === 'regular' || kind === 'directory') {
    if (digest === undefined)
      throw reader.invalid(`a ${kind} entry without object digest`)
    return kind === 'regular'
      ? { name, header, kind, file: { digest, size } }
      : {
          name,
          header,
          kind,
          directory: { digest, size, subObjectCount, subObjectsSize },
        }
  }
  if (strictness === 'strict' && (digest !== undefined || size > 0)) {
    throw reader.invalid(`a ${kind} entry has no object`)
  }
  return kind === 'symlink' ? { name, header, kind, target } : { name, header, kind }
}

/** Says what is wrong with an entry by itself; undefined when nothing is. */
export function findEntryProblem(entry: DirectoryEntry): string | undefined {
  const nameProblem = findNameProblem(entry.name)
  if (nameProblem !== undefined) return `the name of ${show(entry)} ${nameProblem}`
  if (entry.header.size < minHeaderBytes) {
    return `${show(entry)} has a header of ${entry.header.size} bytes, expected at least ${minHeaderBytes}`
  }
  if (entry.kind === 'directory' && entry.directory.size < minDirectoryBytes) {
    return `${show(entry)} has a directory of ${entry.directory.size} bytes, expected at least ${minDirectoryBytes}`
  }
  if (entry.kind === 'symlink') {
    const { target } = entry
    if (target.length === 0 || target.length > maxTargetBytes || target.includes(0)) {
      return `${show(entry)} has an impossible link target: expected 1 to ${maxTargetBytes} bytes without NUL`
    }
  }
  return undefined
}

// Order first: in a directory that is in order, a name can repeat only from one group to
// the other, which a merge of the two finds without a table of names.
function findNamesProblem(
  entries: Directory,
  strictness: Strictness,
): string | undefined {
  const unordered = entries.findIndex((entry, index) => {
    const before = entries[index - 1]
    return before !== undefined && compareEntries(before, entry) >= 0
  })
  if (unordered === -1) return findNameOfTwoKinds(entries)
  if (strictness === 'tolerant') return findRepeatedName(entries)
  const [before, entry] = entries.slice(unordered - 1)
  return outOfOrder(before, entry)
}

/** Says that an entry may not follow another. */
export function outOfOrder(
  before: DirectoryEntry | undefined,
  entry: DirectoryEntry | undefined,
): string {
  return `${show(entry)} is out of order or repeated: it follows ${show(before)}`
}

function findNameOfTwoKinds(entries: Directory): string | undefined {
  let other = entries.findIndex(entry => entry.kind !== 'directory')
  if (other <= 0) return undefined
  for (const { name, kind } of entries) {
    if (kind !== 'directory') break
    let order = -1
    for (let found = entries[other]; found !== undefined; found = entries[++other]) {
      order = Buffer.compare(found.name, name)
      if (order >= 0) break
    }
    if (order === 0) return repeated(name)
  }
  return undefined
}

function findRepeatedName(entries: Directory): string | undefined {
  const names = new Set<string>()
  for (const { name } of entries) {
    const key = name.toString('latin1')
    if (names.has(key)) return repeated(name)
    names.add(key)
  }
  return undefined
}

/** Says that two entries have one name. */
export function repeated(name: Buffer): string {
  return `name "${escapeBytes(name)}" stands twice`
}

function show(entry: DirectoryEntry | undefined): string {
  return `entry "${escapeBytes(entry?.name ?? noBytes)}"`
}

function invalidDirectory(problem: string): InvalidObjectError {
  return new InvalidObjectError(`invalid directory: ${problem}`, { what: 'directory' })
}
