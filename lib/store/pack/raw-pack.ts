import { closeSync, fstatSync, readSync } from 'node:fs'
import { CorruptObjectError, InvalidObjectError } from '../../errors.js'
import {
  type PackPlace,
  type PlaceReader,
  packHeaderBytes,
  packMagic,
} from './pack-format.js'
import { decodeFooter, footerBytes } from './pack-index.js'
import { openPackPart } from './pack-part.js'
import { decodeSegmentHeader, decodeSegmentTable, segmentHeaderBytes } from './segment.js'

/** A segment whose table can be read, and all of whose payloads are there. */
export type RawSegment = {
  readonly start: number
  /** Whether its payloads are aligned; it may fit both. */
  readonly aligned: boolean
  readonly end: number
  readonly places: readonly PackPlace[]
}

/** Where the segments end, and whether each of them could be read. */
export type RawEnd = { readonly end: number; readonly isWhole: boolean }

const searchBytes = 1024 * 1024
const segmentStart = Buffer.from('CSG1')

/** A file that should be a pack, read by its segments alone. */
export class RawPack implements PlaceReader, Disposable {
  readonly path: string
  readonly bytes: number
  readonly #fd: number
  #isClosed = false

  /** Throws InvalidObjectError for what is no regular file. */
  constructor(path: string) {
    this.path = path
    this.#fd = openPackPart(path, 'pack')
    this.bytes = fstatSync(this.#fd).size
  }

  /** The segments that can be read, also behind those that cannot. */
  *segments(): Generator<RawSegment, RawEnd> {
    let isWhole = true
    let at = packHeaderBytes
    for (;;) {
      if (this.#isEnd(at)) return { end: at, isWhole }
      const segment = this.#findSegment(at)
      if (segment !== undefined) {
        yield segment
        at = segment.end
        continue
      }
      isWhole = false
      const next = this.#findNext(at + 1)
      if (next === undefined) return { end: at, isWhole }
      at = next
    }
  }

  readPlace(place: PackPlace, offset: number, length: number): Buffer {
    const bytes = this.read(place.offset + offset, length)
    if (bytes.length === length) return bytes
    const { digest } = place
    const { path } = this
    throw new CorruptObjectError(`object ${digest} is corrupt: pack ${path} is cut off`, {
      digest,
      path,
    })
  }

  /** Reads up to so many bytes: fewer at the end of the file. */
  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(
      Math.max(0, Math.min(length, this.bytes - offset)),
    )
    let done = 0
    while (done < bytes.length) {
      const count = readSync(this.#fd, bytes, done, bytes.length - done, offset + done)
      if (count === 0) break
      done += count
    }
    return bytes.subarray(0, done)
  }

  /** Its file stays open until it is disposed itself. */
  use(): Disposable {
    return { [Symbol.dispose]() {} }
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.#fd)
  }

  // The end mark stands there, or a footer says that it should, or nothing is left.
  #isEnd(at: number): boolean {
    if (at >= this.bytes) return true
    const mark = this.read(at, segmentHeaderBytes)
    if (mark.length < segmentHeaderBytes) return true
    const isMark = attempt(() => decodeSegmentHeader(mark, this.path))?.kind === 'end'
    return isMark || this.#footerOffset() === at + segmentHeaderBytes
  }

  #footerOffset(): number | undefined {
    const footer = this.read(Math.max(0, this.bytes - footerBytes), footerBytes)
    return attempt(() => decodeFooter(footer, this.bytes, { where: this.path }))?.offset
  }

  #findSegment(at: number): RawSegment | undefined {
    const bytes = this.read(at, segmentHeaderBytes)
    if (bytes.length < segmentHeaderBytes) return undefined
    const header = attempt(() => decodeSegmentHeader(bytes, this.path))
    if (header?.kind !== 'segment') return undefined
    const { tableBytes, payloadBytes } = header
    const end = at + segmentHeaderBytes + tableBytes + payloadBytes
    if (end > this.bytes) return undefined
    const head = this.read(at, segmentHeaderBytes + tableBytes)
    for (const aligned of this.#alignments()) {
      const where = { start: at, aligned, where: this.path }
      const places = attempt(() => decodeSegmentTable(head, where))
      if (places !== undefined) return { start: at, aligned, end, places }
    }
    return undefined
  }

  // What the header says first: it may be damaged, and only one of them fits the sizes.
  #alignments(): readonly boolean[] {
    const isUnaligned = this.read(packMagic.length, 4).equals(Buffer.alloc(4))
    return isUnaligned ? [false, true] : [true, false]
  }

  #findNext(from: number): number | undefined {
    const overlap = segmentStart.length - 1
    for (let at = from; at < this.bytes; at += searchBytes) {
      const window = this.read(at, searchBytes + overlap)
      let found = window.indexOf(segmentStart)
      for (; found >= 0; found = window.indexOf(segmentStart, found + 1)) {
        if (this.#findSegment(at + found) !== undefined) return at + found
      }
    }
    return undefined
  }
}

function attempt<Value>(decode: () => Value): Value | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof InvalidObjectError) return undefined
    throw error
  }
}
