import { readSync } from 'node:fs'
import { InvalidObjectError } from '../../errors.js'
import type { Algorithm } from '../../object/algorithm.js'
import type { ObjectLink } from '../../object/descriptor.js'
import { type Digest, parseDigestBytes } from '../../object/digest.js'
import type { ObjectType } from '../../object/object-type.js'
import type { AsidePayload } from '../payload-writer.js'
import type { PackCalls } from './pack-calls.js'
import { alignment, alignUp } from './pack-format.js'
import type { LargePayload, PackWriter } from './pack-writer.js'

const copyBytes = 1024 * 1024
// Shorter runs of zeros are written: each hole is a piece more that the file is made of.
const leastRun = 64 * 1024
const zeros = new Uint8Array(alignment)

/** What a direct payload needs of its session. */
export type DirectOwner = {
  /** Runs what writes; what it throws makes the session's packs useless. */
  write(work: () => void): void
  /** Commits it, or cancels it when the object is there already. */
  commit(payload: DirectPayload, link: ObjectLink): Promise<void>
  /** The payload has ended, its writer is free. */
  release(payload: DirectPayload): void
}

/** A raw payload of known size that is written straight into a pack. */
export class DirectPayload implements AsidePayload {
  readonly type: ObjectType
  readonly size: number
  readonly #algorithm: Algorithm
  readonly #owner: DirectOwner
  #writer: PackWriter
  #large: LargePayload | undefined
  #written = 0

  constructor(
    object: { type: ObjectType; size: number; algorithm: Algorithm },
    writer: PackWriter,
    owner: DirectOwner,
  ) {
    this.type = object.type
    this.size = object.size
    this.#algorithm = object.algorithm
    this.#owner = owner
    this.#writer = writer
    this.#large = this.#start(writer)
  }

  get writer(): PackWriter {
    return this.#writer
  }

  write(bytes: Uint8Array): void {
    const large = this.#running()
    const end = this.#written + bytes.length
    if (end > this.size) throw this.#otherSize(`${end} or more`)
    this.#owner.write(() => writeData(large, bytes, this.#written))
    this.#written = end
  }

  end(): void {
    // Its pack goes on holding it until it is committed or discarded.
  }

  async commit(link: ObjectLink): Promise<void> {
    this.#running()
    if (this.#written !== this.size) throw this.#otherSize(`${this.#written}`)
    await this.#owner.commit(this, link)
  }

  /** Makes it an object of its pack. */
  finish(digest: Digest): void {
    const large = this.#running()
    this.#large = undefined
    this.#owner.write(() => large.finish(digest))
    this.#owner.release(this)
  }

  discard(): void {
    const large = this.#large
    if (large === undefined) return
    this.#large = undefined
    this.#owner.write(() => large.cancel())
    this.#owner.release(this)
  }

  /** Forgets the pack, which is being thrown away. */
  abandon(): void {
    this.#large = undefined
  }

  /** Goes on in another pack, so that this one can be sealed. */
  moveTo(writer: PackWriter, calls: PackCalls): void {
    const from = this.#running()
    const to = this.#start(writer)
    const fd = calls.open(this.#writer.path)
    try {
      const buffer = Buffer.allocUnsafe(Math.min(copyBytes, Math.max(1, this.#written)))
      for (let offset = 0; offset < this.#written; ) {
        const length = Math.min(buffer.length, this.#written - offset)
        const count = readSync(fd, buffer, 0, length, from.offset + offset)
        // Zeros at the end were never written.
        if (count === 0) break
        writeData(to, buffer.subarray(0, count), offset)
        offset += count
      }
    } finally {
      calls.close(fd)
    }
    from.cancel()
    this.#writer = writer
    this.#large = to
  }

  #start(writer: PackWriter): LargePayload {
    return writer.startLarge(this.type, this.size, anyDigest(this.#algorithm))
  }

  #running(): LargePayload {
    if (this.#large === undefined) throw new Error('the session is closed')
    return this.#large
  }

  #otherSize(found: string): InvalidObjectError {
    return new InvalidObjectError(
      `a ${this.type} has another size: expected ${this.size} bytes as announced, found ${found}`,
      { type: this.type, expected: this.size },
    )
  }
}

/** Writes a piece of a payload, leaving out long runs of zeros. */
export function writeData(
  large: Pick<LargePayload, 'write'>,
  bytes: Uint8Array,
  offset: number,
): void {
  let from = 0
  for (const [start, end] of zeroRuns(bytes, offset)) {
    if (start > from) large.write(bytes.subarray(from, start), offset + from)
    from = end
  }
  if (from === 0) large.write(bytes, offset)
  else if (from < bytes.length) large.write(bytes.subarray(from), offset + from)
}

// Runs of whole units, counted from the payload's start, so that they are whole pages.
function* zeroRuns(bytes: Uint8Array, offset: number): Generator<[number, number]> {
  let start = -1
  let at = alignUp(offset) - offset
  for (; at + alignment <= bytes.length; at += alignment) {
    const isZero =
      bytes[at] === 0 &&
      bytes[at + alignment - 1] === 0 &&
      Buffer.compare(bytes.subarray(at, at + alignment), zeros) === 0
    if (isZero && start < 0) start = at
    if (isZero || start < 0) continue
    if (at - start >= leastRun) yield [start, at]
    start = -1
  }
  if (start >= 0 && at - start >= leastRun) yield [start, at]
}

function anyDigest({ id, hashBytes }: Algorithm): Digest {
  const bytes = Buffer.alloc(1 + hashBytes)
  bytes[0] = id
  return parseDigestBytes(bytes)
}
