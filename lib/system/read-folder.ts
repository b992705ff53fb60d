import { endianness } from 'node:os'
import { findFunction } from './libc.js'

/** A name in a folder, and what it named when the folder was listed. */
export type FolderEntry = {
  readonly name: Buffer
  readonly kind: 'directory' | 'regular' | 'other'
}

// Places in struct linux_dirent64.
const place = { length: 16, type: 18, name: 19 } as const
const unknownType = 0
const directoryType = 4
const kinds: ReadonlyMap<number, FolderEntry['kind']> = new Map([
  [directoryType, 'directory'],
  [8, 'regular'],
])
const pieceBytes = 64 * 1024
let getdents: ((fd: number, to: Buffer, size: number) => number) | undefined
const room = Buffer.allocUnsafeSlow(pieceBytes)
const dot = 0x2e

/**
 * Lists an open folder that has not been read from.
 *
 * Undefined when the system cannot tell kinds or fails: node:fs then has the answer, or the
 * reason.
 */
export function readFolder(fd: number): FolderList | undefined {
  getdents ??= findFunction('int64_t getdents64(int fd, void *to, size_t size)')
  if (getdents === undefined || endianness() !== 'LE') return undefined
  const list = new FolderList()
  for (;;) {
    const length = getdents(fd, room, room.length)
    if (length === 0) return list
    if (length < 0 || !list.add(Buffer.from(room.subarray(0, length)))) return undefined
  }
}

/**
 * The names in a folder, in the form in which the system gave them: a wide folder would
 * take several times their bytes as objects.
 */
export class FolderList {
  readonly #pieces: Buffer[] = []
  /** Where each entry starts: the piece's number, then the place in it. */
  #starts = new Uint32Array(64)
  #length = 0
  #nameBytes = 0

  get length(): number {
    return this.#length
  }

  /** Bytes of all names, with the zeros behind them. */
  get nameBytes(): number {
    return this.#nameBytes
  }

  at(index: number): FolderEntry | undefined {
    const start = this.#starts[index]
    if (start === undefined || index >= this.#length) return undefined
    const piece = this.#pieceOf(start)
    const at = start % pieceBytes
    const name = piece.subarray(at + place.name, endOfName(piece, at))
    return { name, kind: kinds.get(piece[at + place.type] ?? unknownType) ?? 'other' }
  }

  /** Puts it in order: folders first, then all others, each by name bytes. */
  sort(): void {
    const starts = this.#starts.subarray(0, this.#length)
    this.#starts = starts.toSorted((one, other) => this.#compare(one, other))
  }

  /** Takes a piece of the list as the system wrote it; false for an unknown kind. */
  add(piece: Buffer): boolean {
    const base = this.#pieces.push(piece) * pieceBytes - pieceBytes
    for (let at = 0; at < piece.length; ) {
      const length = piece.readUInt16LE(at + place.length)
      if (piece[at + place.type] === unknownType) return false
      if (!isOwn(piece, at + place.name)) this.#push(base + at)
      this.#nameBytes += length - place.name
      at += length
    }
    return true
  }

  #push(start: number): void {
    if (this.#length === this.#starts.length) {
      const larger = new Uint32Array(2 * this.#length)
      larger.set(this.#starts)
      this.#starts = larger
    }
    this.#starts[this.#length++] = start
  }

  #compare(one: number, other: number): number {
    const [piece, at] = [this.#pieceOf(one), one % pieceBytes]
    const [otherPiece, otherAt] = [this.#pieceOf(other), other % pieceBytes]
    const isFolder = piece[at + place.type] === directoryType
    const isOtherFolder = otherPiece[otherAt + place.type] === directoryType
    if (isFolder !== isOtherFolder) return isFolder ? -1 : 1
    return piece.compare(
      otherPiece,
      otherAt + place.name,
      endOfName(otherPiece, otherAt),
      at + place.name,
      endOfName(piece, at),
    )
  }

  #pieceOf(start: number): Buffer {
    const piece = this.#pieces[Math.floor(start / pieceBytes)]
    if (piece === undefined) throw new Error(`no entry starts at ${start}`)
    return piece
  }
}

// A zero ends it, and fills the entry up to a multiple of eight.
function endOfName(piece: Buffer, at: number): number {
  return piece.indexOf(0, at + place.name)
}

function isOwn(piece: Buffer, name: number): boolean {
  if (piece[name] !== dot) return false
  return piece[name + 1] === 0 || (piece[name + 1] === dot && piece[name + 2] === 0)
}
