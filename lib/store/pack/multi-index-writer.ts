import { randomBytes } from 'node:crypto'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { writeFailure } from '../storage-full.js'
import {
  maxMultiPacks,
  multiEndMagic,
  multiHeaderBytes,
  multiMagic,
  multiName,
  multiRowBytes,
} from './multi-index.js'
import type { PackCalls } from './pack-calls.js'
import type { PackFile } from './pack-file.js'
import type { PackFolder } from './pack-folder.js'
import {
  encodeFooter,
  type IndexTable,
  rowBytes,
  type SortedTables,
  tableHeaderBytes,
} from './pack-index.js'
import { fanOutBitsFor } from './place-table.js'

// A small pack's trailer is in memory: so many of them are asked one by one soon enough.
const maxPacks = 16
// The trailers of so many objects are read at each look-up, in as few packs.
const maxObjects = 2 ** 19
const fewPacks = 2

const bufferedBytes = 256 * 1024

// Others get their turn after so many rows.
const turnRows = 16_384

/** What a merged index is made with. */
export type MultiIndexParts = {
  /** An existing folder on the same filesystem, for the file while it grows. */
  readonly temp: string
  readonly calls: PackCalls
  readonly signal?: AbortSignal | undefined
}

/** Whether so much is outside of the merged index that look-ups suffer. */
export function needsMultiIndex(folder: PackFolder): boolean {
  folder.refresh()
  return areMany(folder, folder.uncovered)
}

/** Whether look-ups would suffer without a merged index. */
export function deservesMultiIndex(folder: PackFolder): boolean {
  folder.refresh()
  return areMany(folder, folder.names)
}

function areMany(folder: PackFolder, packs: readonly string[]): boolean {
  if (packs.length <= fewPacks || packs.length > maxPacks) return packs.length > maxPacks
  let objects = 0
  for (const name of packs) objects += folder.get(name)?.index.count ?? 0
  return objects > maxObjects
}

/**
 * Makes the merged index of all packs that are there, durably, and puts it in place.
 *
 * Packs that come meanwhile are not covered; several processes may do this at once, the
 * last one stays. Memory does not grow with the number of objects.
 */
export async function writeMultiIndex(
  folder: PackFolder,
  { temp, calls, signal }: MultiIndexParts,
): Promise<void> {
  folder.refresh()
  const sources = folder.packs
    .map(pack => ({ pack, name: pack.path.slice(pack.path.lastIndexOf('/') + 1) }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .slice(0, maxMultiPacks)
  const uses = sources.map(({ pack }) => pack.use())
  const path = join(temp, `multi-${randomBytes(8).toString('hex')}`)
  try {
    await writeDurably(path, calls, async fd =>
      writeMerged({ fd, path, calls, signal }, sources),
    )
    calls.rename(path, join(folder.path, multiName))
    await syncPath(folder.path, calls)
  } catch (error) {
    throw writeFailure(error, path)
  } finally {
    for (const use of uses) use[Symbol.dispose]()
  }
  folder.refresh()
}

async function writeDurably(
  path: string,
  calls: PackCalls,
  write: (fd: number) => Promise<void>,
): Promise<void> {
  const fd = calls.create(path)
  try {
    await write(fd)
    await calls.sync(fd)
  } catch (error) {
    calls.unlink(path)
    throw error
  } finally {
    calls.close(fd)
  }
}

async function syncPath(path: string, calls: PackCalls): Promise<void> {
  const fd = calls.open(path)
  try {
    await calls.sync(fd)
  } finally {
    calls.close(fd)
  }
}

type Source = { readonly pack: PackFile; readonly name: string }

type Target = {
  readonly fd: number
  readonly path: string
  readonly calls: PackCalls
  readonly signal: AbortSignal | undefined
}

async function writeMerged(target: Target, sources: readonly Source[]): Promise<void> {
  const { fd, path, calls } = target
  const head = encodeHead(sources.map(({ name }) => name))
  new RegionWriter(fd, calls, 0).add(head).flush()
  const indexes = sources.map(({ pack }) => pack.index)
  const ids = new Set(indexes.flatMap(index => index.tables.map(one => one.algorithm)))
  let at = head.length
  for (const id of [...ids].toSorted((one, other) => one - other)) {
    at = await mergeTable(target, at, cursorsOf(indexes, id))
  }
  const bytes = at - head.length
  const crc = crcOfFile(path, at)
  const facts = { offset: head.length, bytes, tableCount: ids.size, crc }
  const footer = encodeFooter(facts, multiEndMagic)
  new RegionWriter(fd, calls, at).add(footer).flush()
}

function encodeHead(names: readonly string[]): Buffer {
  const encoded = names.map(name => {
    const bytes = Buffer.alloc(2 + name.length)
    bytes.writeUInt16LE(name.length)
    bytes.write(name, 2, 'latin1')
    return bytes
  })
  const header = Buffer.alloc(multiHeaderBytes)
  multiMagic.copy(header)
  header.writeUInt32LE(names.length, 8)
  header.writeUInt32LE(
    encoded.reduce((sum, { length }) => sum + length, 0),
    12,
  )
  return Buffer.concat([header, ...encoded])
}

function cursorsOf(indexes: readonly SortedTables[], id: number): Cursor[] {
  return indexes.flatMap((index, pack) => {
    const table = index.tables.find(({ algorithm }) => algorithm === id)
    return table === undefined || table.count === 0
      ? []
      : [new Cursor(index, table, pack)]
  })
}

/** Merges one algorithm's tables into a table at `at`; tells where it ends. */
async function mergeTable(
  { fd, calls, signal }: Target,
  at: number,
  cursors: readonly Cursor[],
): Promise<number> {
  const [first] = cursors
  if (first === undefined) return at
  const { algorithm, hashBytes } = first.table
  const count = cursors.reduce((sum, { table }) => sum + table.count, 0)
  const fanOutBits = fanOutBitsFor(count)
  const fanOut = Buffer.alloc(tableHeaderBytes + 4 * 2 ** fanOutBits)
  fanOut.writeUInt32LE(algorithm | (fanOutBits << 8), 0)
  fanOut.writeUInt32LE(count, 4)
  const hashesAt = at + fanOut.length
  const rowsAt = hashesAt + count * hashBytes
  const hashes = new RegionWriter(fd, calls, hashesAt)
  const rows = new RegionWriter(fd, calls, rowsAt)
  const shift = 32 - fanOutBits
  let bucket = 0
  for (let index = 0; index < count; index++) {
    if (index % turnRows === turnRows - 1) {
      signal?.throwIfAborted()
      await setImmediate()
    }
    const least = leastOf(cursors)
    const own = fanOutBits === 0 ? 0 : least.key >>> shift
    for (; bucket < own; bucket++)
      fanOut.writeUInt32LE(index, tableHeaderBytes + 4 * bucket)
    least.copyTo(hashes, rows)
    least.advance()
  }
  for (; bucket < 2 ** fanOutBits; bucket++) {
    fanOut.writeUInt32LE(count, tableHeaderBytes + 4 * bucket)
  }
  hashes.flush()
  rows.flush()
  new RegionWriter(fd, calls, at).add(fanOut).flush()
  return rowsAt + count * multiRowBytes
}

// Of equal ones that of the pack named first.
function leastOf(cursors: readonly Cursor[]): Cursor {
  let least: Cursor | undefined
  for (const cursor of cursors) {
    if (cursor.isDone) continue
    if (
      least === undefined ||
      cursor.key < least.key ||
      (cursor.key === least.key && cursor.isBefore(least))
    ) {
      least = cursor
    }
  }
  if (least === undefined) throw new Error('an index has fewer rows than it says')
  return least
}

// Stands at one row of one pack's table.
class Cursor {
  readonly table: IndexTable
  /** The first four bytes of the hash. */
  key = 0
  isDone = false
  readonly #pack: number
  readonly #pieces: Iterator<{ hashes: Buffer; rows: Buffer; count: number }>
  readonly #stride: number
  #hashes: Buffer = Buffer.alloc(0)
  #rows: Buffer = Buffer.alloc(0)
  #count = 0
  #row = -1

  constructor(index: SortedTables, table: IndexTable, pack: number) {
    this.table = table
    this.#pack = pack
    this.#stride = 1 + table.hashBytes
    this.#pieces = index.pieces(table, 0, table.count)
    this.advance()
  }

  advance(): void {
    this.#row += 1
    if (this.#row === this.#count && !this.#nextPiece()) return
    this.key = this.#hashes.readUInt32BE(this.#row * this.#stride + 1)
  }

  isBefore(other: Cursor): boolean {
    const from = other.#row * other.#stride
    const own = this.#row * this.#stride
    const width = this.#stride
    return this.#hashes.compare(other.#hashes, from, from + width, own, own + width) < 0
  }

  copyTo(hashes: RegionWriter, rows: RegionWriter): void {
    const from = this.#row * this.#stride + 1
    hashes.addPart(this.#hashes, from, this.table.hashBytes)
    rows.addPart(this.#rows, this.#row * rowBytes, rowBytes)
    rows.addNumber(this.#pack)
  }

  #nextPiece(): boolean {
    const next = this.#pieces.next()
    if (next.done === true) {
      this.isDone = true
      return false
    }
    this.#hashes = next.value.hashes
    this.#rows = next.value.rows
    this.#count = next.value.count
    this.#row = 0
    return true
  }
}

// Writes one region of the file from front to back.
class RegionWriter {
  readonly #fd: number
  readonly #calls: PackCalls
  readonly #buffer = Buffer.allocUnsafeSlow(bufferedBytes)
  #used = 0
  #at: number

  constructor(fd: number, calls: PackCalls, at: number) {
    this.#fd = fd
    this.#calls = calls
    this.#at = at
  }

  add(bytes: Buffer): this {
    this.flush()
    this.#write(bytes)
    return this
  }

  addPart(bytes: Buffer, from: number, length: number): void {
    if (this.#used + length > bufferedBytes) this.flush()
    for (let byte = 0; byte < length; byte++) {
      this.#buffer[this.#used + byte] = bytes[from + byte] ?? 0
    }
    this.#used += length
  }

  addNumber(number: number): void {
    if (this.#used + 4 > bufferedBytes) this.flush()
    this.#used = this.#buffer.writeUInt32LE(number, this.#used)
  }

  flush(): void {
    this.#write(this.#buffer.subarray(0, this.#used))
    this.#used = 0
  }

  #write(bytes: Buffer): void {
    for (let done = 0; done < bytes.length; ) {
      const written = this.#calls.writeAt(this.#fd, bytes.subarray(done), this.#at)
      if (written === 0)
        throw new Error(`a write took none of ${bytes.length - done} bytes`)
      done += written
      this.#at += written
    }
  }
}

function crcOfFile(path: string, length: number): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const buffer = Buffer.allocUnsafeSlow(1024 * 1024)
    let crc = 0
    for (let done = 0; done < length; ) {
      const wanted = Math.min(buffer.length, length - done)
      const count = readSync(fd, buffer, 0, wanted, done)
      if (count === 0) throw new Error(`${path} is shorter than what was written`)
      crc = crc32(buffer.subarray(0, count), crc)
      done += count
    }
    return crc
  } finally {
    closeSync(fd)
  }
}
