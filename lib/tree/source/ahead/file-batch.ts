import { type FileState, savedWords } from '../../../system/direct-calls.js'

/** Bytes of the largest file that goes into a batch. */
export const maxWholeFileBytes = 4 * 1024 * 1024

const maxFiles = 512
// From here on a batch takes no further file.
const fullBytes = 2 * 1024 * 1024

// In front of a payload stands the type byte of its object, so that both are hashed in one
// go; behind it room for one byte more, so that a file that has become longer is seen.
const extraBytes = 2
const maxNameBytes = 255

/*
 * A batch lies in memory that threads share:
 *
 *   rows      a row for each file, of words of four bytes in this machine's order:
 *             0 the descriptor of its folder, 1 where its name starts and 2 its length,
 *             3 where its payload starts, 4 and on its state as FileState saves it
 *   names     one behind the other
 *   payloads  one behind the other, with the extra bytes
 */
const row = { folder: 0, name: 1, nameBytes: 2, payload: 3, state: 4 } as const
const rowWords = row.state + savedWords
const rowBytes = rowWords * 4 * maxFiles
const nameBytes = maxNameBytes * maxFiles
const payloadBytes = fullBytes + maxWholeFileBytes + extraBytes

/** What of a batch is handed to another thread. */
export type SharedBatch = { readonly memory: SharedArrayBuffer; readonly count: number }

/**
 * Files to be read, with room for what is read: each is named by an open folder, and is
 * expected in the state in which it was seen.
 *
 * Used again after clear(). It takes some 6 MB.
 */
export class FileBatch {
  readonly #memory: SharedArrayBuffer
  readonly #words: Uint32Array
  readonly #names: Buffer
  readonly #payloads: Buffer
  #count: number
  #namesUsed = 0
  #payloadsUsed = 0

  /** @param shared - a batch of another thread; else a new one is made */
  constructor(shared?: SharedBatch) {
    const size = rowBytes + nameBytes + payloadBytes
    this.#memory = shared?.memory ?? new SharedArrayBuffer(size)
    this.#words = new Uint32Array(this.#memory, 0, rowWords * maxFiles)
    this.#names = Buffer.from(this.#memory, rowBytes, nameBytes)
    this.#payloads = Buffer.from(this.#memory, rowBytes + nameBytes)
    this.#count = shared?.count ?? 0
  }

  get count(): number {
    return this.#count
  }

  /** Bytes of the payloads as they were seen, with those around them. */
  get bytes(): number {
    return this.#payloadsUsed
  }

  /** What another thread needs to read these files. */
  get shared(): SharedBatch {
    return { memory: this.#memory, count: this.#count }
  }

  get isFull(): boolean {
    return this.#count >= maxFiles || this.#payloadsUsed >= fullBytes
  }

  /**
   * Adds a file of at most maxWholeFileBytes to a batch that is not full. Its folder stays
   * open until the file was read.
   */
  add(folder: number, name: Uint8Array, state: FileState): void {
    const { size } = state
    if (this.isFull || size > maxWholeFileBytes || name.length > maxNameBytes) {
      throw new Error('a file does not fit into its batch')
    }
    const at = this.#count++ * rowWords
    const words = this.#words
    words[at + row.folder] = folder
    words[at + row.name] = this.#namesUsed
    words[at + row.nameBytes] = name.length
    words[at + row.payload] = this.#payloadsUsed + 1
    state.save(words, at + row.state)
    this.#names.set(name, this.#namesUsed)
    this.#namesUsed += name.length
    this.#payloadsUsed += size + extraBytes
  }

  /** The descriptor of a file's folder. */
  folder(index: number): number {
    return this.#word(index, row.folder)
  }

  name(index: number): Buffer {
    const start = this.#word(index, row.name)
    return this.#names.subarray(start, start + this.#word(index, row.nameBytes))
  }

  /** Brings the state in which a file was seen into `state`. */
  loadState(index: number, state: FileState): void {
    state.load(this.#words, index * rowWords + row.state)
  }

  /** The room of a file of `size` bytes, with the byte in front of it and that behind it. */
  room(index: number, size: number): Buffer {
    const start = this.#word(index, row.payload)
    return this.#payloads.subarray(start - 1, start + size + 1)
  }

  payload(index: number, size: number): Buffer {
    const start = this.#word(index, row.payload)
    return this.#payloads.subarray(start, start + size)
  }

  clear(): void {
    this.#count = 0
    this.#namesUsed = 0
    this.#payloadsUsed = 0
  }

  #word(index: number, at: number): number {
    return this.#words[index * rowWords + at] ?? 0
  }
}
