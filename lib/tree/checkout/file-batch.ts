import type { Digest } from '../../object/digest.js'
import type { ModificationTime } from '../../object/modification-times.js'
import type { PayloadPlace } from '../../store/object-store.js'
import type { FileAttributes } from './file-attributes.js'

/** A regular file to be made of one payload that lies in a file as it is. */
export type NewFile = {
  /** Open folder that it is made in. */
  readonly folder: number
  readonly name: Uint8Array
  readonly digest: Digest
  readonly place: PayloadPlace
  readonly attributes: FileAttributes
  readonly time: ModificationTime | undefined
}

/** Files to be made in one go, in a form that is cheap to hand to another thread. */
export type FileBatch = {
  /** Of each file, as `field` numbers them. */
  readonly numbers: Float64Array<ArrayBuffer>
  /** Each ends in a NUL. */
  readonly names: Uint8Array<ArrayBuffer>
  readonly digests: readonly Digest[]
  readonly attributes: readonly FileAttributes[]
}

/** Places of a file's numbers. */
export const field = {
  folder: 0,
  nameStart: 1,
  source: 2,
  offset: 3,
  size: 4,
  attributes: 5,
  seconds: 6,
  nanoseconds: 7,
} as const

/** How many numbers a file has. */
export const fieldCount = 8

/** Stands for the nanoseconds of a file that gets no time. */
export const noTime = -1

const maxNameBytes = 255

/** Whether a batch can tell this time: its seconds are a number. */
export function isPlainTime(time: ModificationTime | undefined): boolean {
  if (time === undefined) return true
  return time.seconds >= -maxSeconds && time.seconds <= maxSeconds
}

const maxSeconds = BigInt(Number.MAX_SAFE_INTEGER)

/** Collects the files of a batch. */
export class BatchBuilder {
  readonly #capacity: number
  readonly #numbers: Float64Array<ArrayBuffer>
  readonly #names: Uint8Array<ArrayBuffer>
  #digests: Digest[] = []
  #attributes: FileAttributes[] = []
  #nameBytes = 0
  #bytes = 0

  /** @param capacity - files that a batch has at most */
  constructor(capacity: number) {
    this.#capacity = capacity
    this.#numbers = new Float64Array(capacity * fieldCount)
    this.#names = new Uint8Array(capacity * (maxNameBytes + 1))
  }

  get count(): number {
    return this.#digests.length
  }

  /** Payload bytes of all files. */
  get bytes(): number {
    return this.#bytes
  }

  get isFull(): boolean {
    return this.count === this.#capacity
  }

  add({ folder, name, digest, place, attributes, time }: NewFile): void {
    const at = this.count * fieldCount
    const numbers = this.#numbers
    numbers[at + field.folder] = folder
    numbers[at + field.nameStart] = this.#nameBytes
    numbers[at + field.source] = place.fd
    numbers[at + field.offset] = place.offset
    numbers[at + field.size] = place.size
    numbers[at + field.attributes] = this.#numberOf(attributes)
    numbers[at + field.seconds] = Number(time?.seconds ?? 0)
    numbers[at + field.nanoseconds] = time?.nanoseconds ?? noTime
    this.#names.set(name, this.#nameBytes)
    this.#nameBytes += name.length
    this.#names[this.#nameBytes++] = 0
    this.#digests.push(digest)
    this.#bytes += place.size
  }

  /** Hands out what was collected, and starts anew. */
  take(): FileBatch {
    const batch = {
      numbers: this.#numbers.slice(0, this.count * fieldCount),
      names: this.#names.slice(0, this.#nameBytes),
      digests: this.#digests,
      attributes: this.#attributes,
    }
    this.#digests = []
    this.#attributes = []
    this.#nameBytes = 0
    this.#bytes = 0
    return batch
  }

  // Most files of a batch have the same few.
  #numberOf(attributes: FileAttributes): number {
    const known = this.#attributes.lastIndexOf(attributes)
    return known === -1 ? this.#attributes.push(attributes) - 1 : known
  }
}
