import { InvalidObjectError, NotRepresentableError } from '../errors.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import {
  type Descriptor,
  leafDescriptor,
  type ObjectLink,
  type SubObjectTotals,
} from './descriptor.js'
import type { Digest } from './digest.js'
import { findNameProblem } from './entry-name.js'
import { escapeBytes } from './escape.js'
import type { EntryKind } from './file-mode.js'
import { minHeaderBytes } from './header.js'
import type { Strictness } from './strictness.js'

/** A directory object that an entry or an application refers to. */
export type DirectoryLink = ObjectLink & SubObjectTotals

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

/** Bytes of the symlink target that Linux can make: PATH_MAX less the NUL. */
const maxTargetBytes = 4095
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
  const writer = new ByteWriter(4 + entries.length * 140)
  writer.u32(entries.length, 'entry count')
  let before: DirectoryEntry | undefined
  for (const entry of entries) {
    const problem = findEntryProblem(entry, before)
    if (problem !== undefined)
      throw new InvalidObjectError(`invalid directory: ${problem}`)
    writeEntry(writer, entry)
    before = entry
  }
  checkUniqueNames(
    entries,
    problem => new InvalidObjectError(`invalid directory: ${problem}`),
  )
  return writer.finish()
}

/**
 * Decodes a directory payload; throws InvalidObjectError.
 *
 * Impossible names are refused always. Strict, it also refuses entries out of order,
 * repeated names, fields that an entry's kind does not have, and bytes after the end.
 */
export function decodeDirectory(payload: Uint8Array, strictness: Strictness): Directory {
  const reader = new ByteReader(payload, 'directory')
  const count = reader.u32('entry count')
  if (count * minEntryBytes > reader.left) {
    throw reader.invalid(
      `${count} entries take at least ${count * minEntryBytes} bytes, found ${reader.left}`,
    )
  }
  const entries: DirectoryEntry[] = []
  for (let index = 0; index < count; index++) {
    const entry = readEntry(reader, strictness)
    const problem = findEntryProblem(
      entry,
      strictness === 'strict' ? entries[index - 1] : undefined,
    )
    if (problem !== undefined) throw reader.invalid(problem)
    entries.push(entry)
  }
  if (strictness === 'strict') {
    reader.end()
    checkUniqueNames(entries, problem => reader.invalid(problem))
  }
  return entries
}

/**
 * Adds up what lies below a directory (format section 2.3), exactly.
 *
 * Throws NotRepresentableError when a total is beyond its field.
 */
export function totalsOf(entries: Directory): SubObjectTotals {
  let count = 0n
  let size = 0n
  for (const entry of entries) {
    count += 1n
    size += BigInt(entry.header.size)
    if (entry.kind === 'regular') {
      count += 1n
      size += BigInt(entry.file.size)
    } else if (entry.kind === 'directory') {
      count += 1n + BigInt(entry.directory.subObjectCount)
      size += BigInt(entry.directory.size) + entry.directory.subObjectsSize
    }
  }
  return checkedTotals(count, size)
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

/** What a directory refers to, in the order of format section 5 step 3. */
export function directoryDependencies(entries: Directory): Descriptor[] {
  const dependencies: Descriptor[] = []
  for (const entry of entries) {
    dependencies.push(leafDescriptor('header', entry.header))
    if (entry.kind === 'regular') dependencies.push(leafDescriptor('file', entry.file))
    if (entry.kind === 'directory')
      dependencies.push(directoryDescriptor(entry.directory))
  }
  return dependencies
}

/** The descriptor of a directory that an entry or an application refers to. */
export function directoryDescriptor(link: DirectoryLink): Descriptor {
  return { type: 'directory', ...link }
}

function writeEntry(writer: ByteWriter, entry: DirectoryEntry): void {
  writer
    .prefixed(entry.name, 'entry name')
    .u8(kindBytes[entry.kind])
    .prefixed(entry.kind === 'symlink' ? entry.target : Buffer.alloc(0), 'link target')
    .digest(entry.header.digest)
    .size(entry.header.size, 'header size')
  const object = objectOf(entry)
  writer.digest(object?.digest).size(object?.size ?? 0, 'object size')
  const totals = entry.kind === 'directory' ? entry.directory : undefined
  writer
    .u32(totals?.subObjectCount ?? 0, 'sub-object count')
    .u64(totals?.subObjectsSize ?? 0n, 'sub-objects size')
}

function objectOf(entry: DirectoryEntry): ObjectLink | undefined {
  if (entry.kind === 'regular') return entry.file
  return entry.kind === 'directory' ? entry.directory : undefined
}

function readEntry(reader: ByteReader, strictness: Strictness): DirectoryEntry {
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

  const totals = { subObjectCount, subObjectsSize }
  if (strictness === 'strict')
    checkEmptyFields(reader, { kind, target, digest, size, totals })
  const common = { name, header }
  if (kind === 'symlink') return { ...common, kind, target }
  if (kind !== 'regular' && kind !== 'directory') return { ...common, kind }
  if (digest === undefined) throw reader.invalid(`a ${kind} entry without object digest`)
  return kind === 'regular'
    ? { ...common, kind, file: { digest, size } }
    : { ...common, kind, directory: { digest, size, ...totals } }
}

function checkEmptyFields(
  reader: ByteReader,
  fields: {
    kind: EntryKind | 'unknown'
    target: Buffer
    digest: Digest | undefined
    size: number
    totals: SubObjectTotals
  },
): void {
  const { kind, target, digest, size, totals } = fields
  if (kind !== 'symlink' && target.length > 0) {
    throw reader.invalid(`a ${kind} entry has no link target`)
  }
  if (kind !== 'regular' && kind !== 'directory' && (digest !== undefined || size > 0)) {
    throw reader.invalid(`a ${kind} entry has no object`)
  }
  if (kind !== 'directory' && (totals.subObjectCount > 0 || totals.subObjectsSize > 0n)) {
    throw reader.invalid(`a ${kind} entry has no sub-objects`)
  }
}

function findEntryProblem(
  entry: DirectoryEntry,
  before: DirectoryEntry | undefined,
): string | undefined {
  const shown = `entry "${escapeBytes(entry.name)}"`
  const nameProblem = findNameProblem(entry.name)
  if (nameProblem !== undefined) return `the name of ${shown} ${nameProblem}`
  if (entry.header.size < minHeaderBytes) {
    return `${shown} has a header of ${entry.header.size} bytes, expected at least ${minHeaderBytes}`
  }
  if (entry.kind === 'symlink') {
    const { target } = entry
    if (target.length === 0 || target.length > maxTargetBytes || target.includes(0)) {
      return `${shown} has an impossible link target: expected 1 to ${maxTargetBytes} bytes without NUL`
    }
  }
  if (before !== undefined && compareEntries(before, entry) >= 0) {
    return `${shown} is out of order or repeated: it follows "${escapeBytes(before.name)}"`
  }
  return undefined
}

// Order within each group excludes repeats there; a directory and another entry of the
// same name stand in different groups.
function checkUniqueNames(entries: Directory, fail: (problem: string) => Error): void {
  const firstOther = entries.findIndex(entry => entry.kind !== 'directory')
  if (firstOther <= 0) return
  let other = firstOther
  for (let index = 0; index < firstOther; index++) {
    const name = entries[index]?.name ?? Buffer.alloc(0)
    while (other < entries.length && Buffer.compare(nameAt(entries, other), name) < 0)
      other++
    if (other < entries.length && nameAt(entries, other).equals(name)) {
      throw fail(`name "${escapeBytes(name)}" stands twice`)
    }
  }
}

function nameAt(entries: Directory, index: number): Buffer {
  return entries[index]?.name ?? Buffer.alloc(0)
}
