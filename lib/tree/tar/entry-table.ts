import { LimitExceededError } from '../../errors.js'
import type { ObjectLink } from '../../object/descriptor.js'
import { type Digest, digestBytes, parseDigestBytes } from '../../object/digest.js'
import type { DirectoryLink } from '../../object/directory.js'
import type { EntryKind } from '../../object/file-mode.js'
import type { ModificationTime } from '../../object/modification-times.js'
import { ByteArena, RecordPages } from './byte-arena.js'
import { KeyedHash } from './keyed-hash.js'

/** How large a tree may become while it is put together. */
export type TableLimits = {
  /** Entries, with those that were replaced. */
  readonly maxEntries: number
  /** Bytes of memory. */
  readonly maxBytes: number
}

/** The root's own number, and "none" where an entry is asked for. */
export const rootEntryNumber = 0

const rowBytes = 64
// Size of the payload, and where the digest is kept.
const headerBytes = 8
// Where the fields of a row start.
const at = {
  parent: 0,
  next: 4,
  child: 8,
  inode: 12,
  name: 16,
  nameLength: 20,
  kind: 21,
  flags: 22,
  header: 24,
  nanoseconds: 28,
  seconds: 32,
  size: 40,
  content: 48,
  count: 52,
  below: 56,
} as const

const flag = { gone: 1, linked: 2, touched: 4, stored: 8 } as const

const kinds: readonly EntryKind[] = [
  'regular',
  'directory',
  'symlink',
  'block-device',
  'char-device',
  'fifo',
  'socket',
]

/**
 * The entries of a tree that grows in any order, in some 64 bytes each, a name, and a
 * digest: a tree of a million entries takes about 120 MB.
 *
 * Entries have numbers; 0 is the root. Several entries can be names of one file: then
 * they share the facts of the first (its inode), also when that is gone.
 */
export class EntryTable {
  readonly #limits: TableLimits
  readonly #rows = new RecordPages(rowBytes)
  readonly #headers = new RecordPages(headerBytes)
  readonly #bytes = new ByteArena()
  readonly #hash = new KeyedHash()
  #slots = new Uint32Array(1024)
  #used = 0
  #digestBytes = 0

  constructor(limits: TableLimits) {
    this.#limits = limits
    this.#newRow(0, Buffer.alloc(0), 'directory')
  }

  /** Entries that were ever added, the root counted in. */
  get count(): number {
    return this.#rows.count
  }

  /** Entries that it takes at most. */
  get maxEntries(): number {
    return this.#limits.maxEntries
  }

  /** The entry of a name in a directory; undefined when there is none. */
  find(parent: number, name: Uint8Array): number | undefined {
    const number = this.#slots[this.#slotOf(parent, name)] ?? 0
    return number === 0 || this.#has(number, flag.gone) ? undefined : number
  }

  /**
   * Adds an entry, in place of what has its name: that is gone then, with all below it.
   */
  add(parent: number, name: Uint8Array, kind: EntryKind): number {
    if (2 * (this.#used + 1) > this.#slots.length) this.#grow()
    const slot = this.#slotOf(parent, name)
    const before = this.#slots[slot] ?? 0
    if (before === 0) this.#used++
    else this.remove(before)
    const number = this.#newRow(parent, name, kind)
    this.#slots[slot] = number
    this.#set32(number, at.next, this.#get32(parent, at.child))
    this.#set32(parent, at.child, number)
    return number
  }

  /** Makes an entry one more name of the file that another is. */
  link(parent: number, name: Uint8Array, target: number): number {
    const inode = this.inode(target)
    const number = this.add(parent, name, this.kind(target))
    this.#set32(number, at.inode, inode)
    this.#raise(inode, flag.linked)
    return number
  }

  /** Takes an entry away, with all below it. */
  remove(number: number): void {
    this.#raise(number, flag.gone)
  }

  kind(number: number): EntryKind {
    return kinds[this.#row(number)[this.#start(number) + at.kind] ?? 0] ?? 'regular'
  }

  /** The entry that has the facts of this one's file. */
  inode(number: number): number {
    return this.#get32(number, at.inode)
  }

  /** Whether the file of an entry got a second name at any time. */
  isLinked(number: number): boolean {
    return this.#has(this.inode(number), flag.linked)
  }

  parent(number: number): number {
    return this.#get32(number, at.parent)
  }

  /** The name, not a copy. */
  name(number: number): Buffer {
    const length = this.#row(number)[this.#start(number) + at.nameLength] ?? 0
    return this.#bytes.get(this.#get32(number, at.name), length)
  }

  /** The path from the root, without a slash in front. */
  path(number: number): Buffer {
    const names: Buffer[] = []
    for (let entry = number; entry !== rootEntryNumber; entry = this.parent(entry)) {
      names.push(this.name(entry), Buffer.from('/'))
    }
    return Buffer.concat(names.toReversed().slice(1))
  }

  /** What is in a directory, in no order until `sort` was called. */
  *children(directory: number): Generator<number, void, void> {
    for (let child = this.#get32(directory, at.child); child !== 0; ) {
      const next = this.#get32(child, at.next)
      if (!this.#has(child, flag.gone)) yield child
      child = next
    }
  }

  /** The first child; 0 for none. Exact after `setChildren`. */
  firstChild(directory: number): number {
    return this.#get32(directory, at.child)
  }

  /** The next entry of the same directory; 0 at its end. */
  nextSibling(number: number): number {
    return this.#get32(number, at.next)
  }

  /** Says what is in a directory, and in which order: its entries less those gone. */
  setChildren(directory: number, children: readonly number[]): void {
    let next = 0
    for (const child of children.toReversed()) {
      this.#set32(child, at.next, next)
      next = child
    }
    this.#set32(directory, at.child, next)
  }

  /** Marks an entry as named by the archive that is being read. */
  touch(number: number): void {
    this.#raise(number, flag.touched)
  }

  isTouched(number: number): boolean {
    return this.#has(number, flag.touched)
  }

  time(number: number): ModificationTime {
    const inode = this.inode(number)
    const seconds = this.#row(inode).readBigInt64LE(this.#start(inode) + at.seconds)
    return { seconds, nanoseconds: this.#get32(inode, at.nanoseconds) }
  }

  setTime(number: number, { seconds, nanoseconds }: ModificationTime): void {
    const inode = this.inode(number)
    this.#row(inode).writeBigInt64LE(seconds, this.#start(inode) + at.seconds)
    this.#set32(inode, at.nanoseconds, nanoseconds)
  }

  /** Makes room for a header whose link is not known yet. */
  addHeader(): number {
    return this.#headers.add()
  }

  setHeaderLink(header: number, link: ObjectLink): void {
    const page = this.#headers.page(header)
    const start = this.#headers.start(header)
    page.writeUInt32LE(link.size, start)
    page.writeUInt32LE(this.#keepDigest(link.digest), start + 4)
  }

  setHeader(number: number, header: number): void {
    this.#set32(this.inode(number), at.header, header)
  }

  header(number: number): ObjectLink {
    const header = this.#get32(this.inode(number), at.header)
    const page = this.#headers.page(header)
    const start = this.#headers.start(header)
    const digest = this.#digest(page.readUInt32LE(start + 4))
    return { digest, size: page.readUInt32LE(start) }
  }

  setFile(number: number, { digest, size }: ObjectLink): void {
    const inode = this.inode(number)
    this.#set32(inode, at.content, this.#keepDigest(digest))
    this.#setSize(inode, size)
  }

  file(number: number): ObjectLink {
    const inode = this.inode(number)
    return {
      digest: this.#digest(this.#get32(inode, at.content)),
      size: this.#size(inode),
    }
  }

  setTarget(number: number, target: Uint8Array): void {
    const inode = this.inode(number)
    this.#set32(inode, at.content, this.#keep(target))
    this.#setSize(inode, target.length)
  }

  target(number: number): Buffer {
    const inode = this.inode(number)
    return this.#bytes.get(this.#get32(inode, at.content), this.#size(inode))
  }

  setDirectory(number: number, link: DirectoryLink): void {
    this.#set32(number, at.content, this.#keepDigest(link.digest))
    this.#setSize(number, link.size)
    this.#set32(number, at.count, link.subObjectCount)
    this.#row(number).writeBigUInt64LE(
      link.subObjectsSize,
      this.#start(number) + at.below,
    )
    this.#raise(number, flag.stored)
  }

  /** A directory that is stored; undefined before that. */
  findDirectory(number: number): DirectoryLink | undefined {
    if (!this.#has(number, flag.stored)) return undefined
    return {
      digest: this.#digest(this.#get32(number, at.content)),
      size: this.#size(number),
      subObjectCount: this.#get32(number, at.count),
      subObjectsSize: this.#row(number).readBigUInt64LE(this.#start(number) + at.below),
    }
  }

  #newRow(parent: number, name: Uint8Array, kind: EntryKind): number {
    if (this.#rows.count >= this.#limits.maxEntries) {
      throw new LimitExceededError(
        `an archive has too many entries: expected at most ${this.#limits.maxEntries}`,
        { expected: this.#limits.maxEntries },
      )
    }
    const place = this.#keep(name)
    const number = this.#rows.add()
    const row = this.#row(number)
    const start = this.#start(number)
    row.writeUInt32LE(parent, start + at.parent)
    row.writeUInt32LE(number, start + at.inode)
    row.writeUInt32LE(place, start + at.name)
    row[start + at.nameLength] = name.length
    row[start + at.kind] = kinds.indexOf(kind)
    return number
  }

  #keep(bytes: Uint8Array): number {
    const place = this.#bytes.add(bytes)
    const found =
      this.#bytes.length +
      this.#rows.count * rowBytes +
      this.#headers.count * headerBytes +
      this.#slots.byteLength
    if (found > this.#limits.maxBytes) {
      throw new LimitExceededError(
        `an archive's entries take too much memory: expected at most ` +
          `${this.#limits.maxBytes} bytes`,
        { expected: this.#limits.maxBytes },
      )
    }
    return place
  }

  #keepDigest(digest: Digest): number {
    const bytes = digestBytes(digest)
    this.#digestBytes = bytes.length
    return this.#keep(bytes)
  }

  #digest(place: number): Digest {
    return parseDigestBytes(this.#bytes.get(place, this.#digestBytes))
  }

  // Where the entry of a name is, or would be.
  #slotOf(parent: number, name: Uint8Array): number {
    const mask = this.#slots.length - 1
    for (let slot = this.#hash.hash(parent, name) & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot] ?? 0
      if (number === 0) return slot
      if (this.parent(number) === parent && this.name(number).equals(name)) return slot
    }
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Uint32Array(2 * before.length)
    const mask = this.#slots.length - 1
    for (const number of before) {
      if (number === 0) continue
      let slot = this.#hash.hash(this.parent(number), this.name(number)) & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = number
    }
  }

  #size(number: number): number {
    return this.#row(number).readDoubleLE(this.#start(number) + at.size)
  }

  #setSize(number: number, size: number): void {
    this.#row(number).writeDoubleLE(size, this.#start(number) + at.size)
  }

  #has(number: number, bit: number): boolean {
    return ((this.#row(number)[this.#start(number) + at.flags] ?? 0) & bit) !== 0
  }

  #raise(number: number, bit: number): void {
    const row = this.#row(number)
    const place = this.#start(number) + at.flags
    row[place] = (row[place] ?? 0) | bit
  }

  #get32(number: number, field: number): number {
    return this.#row(number).readUInt32LE(this.#start(number) + field)
  }

  #set32(number: number, field: number, value: number): void {
    this.#row(number).writeUInt32LE(value, this.#start(number) + field)
  }

  #row(number: number): Buffer {
    return this.#rows.page(number)
  }

  #start(number: number): number {
    return this.#rows.start(number)
  }
}
