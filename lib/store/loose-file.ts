import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  read,
  readSync,
  type Stats,
} from 'node:fs'
import { promisify } from 'node:util'
import { CorruptObjectError, LimitExceededError, ObjectNotFoundError } from '../errors.js'
import { algorithmOf, type Digest } from '../object/digest.js'
import { createObjectDigester, digestObject } from '../object/digester.js'
import { type ObjectType, parseObjectType } from '../object/object-type.js'
import { maxMetadataBytes } from '../object/received-object.js'
import { isErrno } from '../system/errno.js'
import { openRegularFile } from '../system/regular-file.js'
import { cutRange, maxChunkBytes } from './byte-range.js'
import type { ByteRange, ObjectInfo, ObjectStream, WholeObject } from './object-store.js'

const readAsync = promisify(read)

// Reading fewer bytes in another thread costs more than waiting for them.
const directReadBytes = 128 * 1024

const maxTypeByte = 3

/** Where the file of one object lies. */
export type LoosePlace = { readonly digest: Digest; readonly path: string }

/** Whether a file that can be an object lies there; its bytes are not looked at. */
export function isObjectFile(path: string): boolean {
  const stats = findStats(path)
  return stats?.isFile() === true && stats.size > 0
}

function findStats(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    // A stray file where a folder of the layout should be: nothing is below it.
    if (isErrno(error, 'ENOTDIR')) return undefined
    throw error
  }
}

/** What the object file at a path says of itself; undefined for what cannot be one. */
export function findObjectFile(path: string): ObjectInfo | undefined {
  if (!isObjectFile(path)) return undefined
  let fd: number
  try {
    fd = openRegularFile(path, constants.O_RDONLY, found => new IrregularError(found))
  } catch (error) {
    const isGone = error instanceof IrregularError || isErrno(error, 'ENOENT')
    if (isGone) return undefined
    throw error
  }
  try {
    const { size } = fstatSync(fd)
    const byte = readTypeByte(fd)
    if (byte === undefined || byte > maxTypeByte) return undefined
    return { type: parseObjectType(byte), size: size - 1 }
  } finally {
    closeSync(fd)
  }
}

/** Reads a whole object, verified; throws as ObjectReader.read. */
export function readObjectFile(place: LoosePlace): WholeObject {
  const { digest, path } = place
  const { fd, type, size } = openObjectFile(place)
  try {
    if (size > maxMetadataBytes) {
      throw new LimitExceededError(
        `object ${digest} is too large to read whole: expected at most ${maxMetadataBytes} bytes, found ${size}`,
        { digest, path, limit: maxMetadataBytes, found: size },
      )
    }
    const payload = Buffer.allocUnsafe(size)
    let filled = 0
    while (filled < size) {
      const count = readSync(fd, payload, filled, size - filled, 1 + filled)
      if (count === 0) throw cutShort(place, size, filled)
      filled += count
    }
    checkDigest(place, digestObject(algorithmOf(digest), type, payload))
    return { digest, type, size, payload }
  } finally {
    closeSync(fd)
  }
}

/** Opens one payload; throws as ObjectReader.open. */
export function openObjectStream(place: LoosePlace, range?: ByteRange): ObjectStream {
  const { fd, type, size } = openObjectFile(place)
  try {
    return new LooseStream(place, fd, { type, size }, range)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

class LooseStream implements ObjectStream {
  readonly type: ObjectType
  readonly size: number
  readonly #place: LoosePlace
  readonly #isWhole: boolean
  readonly #range: ByteRange
  #fd: number | undefined
  #isTaken = false
  #isReading = false
  #isClosed = false

  constructor(place: LoosePlace, fd: number, info: ObjectInfo, range?: ByteRange) {
    this.type = info.type
    this.size = info.size
    this.#place = place
    this.#fd = fd
    this.#isWhole = range === undefined
    this.#range = cutRange(range ?? { offset: 0, length: info.size }, info.size)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (this.#isTaken) throw new Error('the stream of an object is read already')
    this.#isTaken = true
    try {
      if (this.#isWhole) yield* this.#verifiedChunks()
      else yield* this.#chunks()
    } finally {
      this.#close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close()
  }

  async *#verifiedChunks(): AsyncGenerator<Uint8Array> {
    const { digest } = this.#place
    const digester = createObjectDigester(algorithmOf(digest), this.type)
    for await (const chunk of this.#chunks()) {
      digester.update(chunk)
      yield chunk
    }
    checkDigest(this.#place, digester.digest())
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    const { offset, length } = this.#range
    let given = 0
    while (given < length) {
      const chunk = await this.#readAt(
        offset + given,
        Math.min(length - given, maxChunkBytes),
      )
      if (chunk.length === 0) throw cutShort(this.#place, this.size, offset + given)
      given += chunk.length
      yield chunk
    }
  }

  async #readAt(offset: number, length: number): Promise<Buffer> {
    const fd = this.#fd
    if (fd === undefined || this.#isClosed) {
      throw new Error('the stream of an object is closed')
    }
    const chunk = Buffer.allocUnsafe(length)
    if (length <= directReadBytes) {
      return chunk.subarray(0, readSync(fd, chunk, 0, length, 1 + offset))
    }
    this.#isReading = true
    try {
      const { bytesRead } = await readAsync(fd, chunk, 0, length, 1 + offset)
      return chunk.subarray(0, bytesRead)
    } finally {
      this.#isReading = false
      if (this.#isClosed) this.#close()
    }
  }

  #close(): void {
    this.#isClosed = true
    // Another file could get the descriptor's number while a read of it is under way.
    if (this.#fd === undefined || this.#isReading) return
    closeSync(this.#fd)
    this.#fd = undefined
  }
}

function openObjectFile(place: LoosePlace): ObjectInfo & { fd: number } {
  const fd = openPlace(place)
  try {
    const stats = fstatSync(fd)
    const byte = readTypeByte(fd)
    if (byte === undefined) throw corrupt(place, 'a type byte', 'an empty file')
    if (byte > maxTypeByte) throw corrupt(place, 'a type byte of 0 to 3', String(byte))
    return { fd, type: parseObjectType(byte), size: stats.size - 1 }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function openPlace(place: LoosePlace): number {
  const { digest, path } = place
  try {
    return openRegularFile(path, constants.O_RDONLY, found =>
      corrupt(place, 'a regular file', found),
    )
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) {
      throw new ObjectNotFoundError(`no object ${digest}`, { digest })
    }
    throw error
  }
}

// Never leaves this file: what is no regular file counts as absent.
class IrregularError extends Error {}

function readTypeByte(fd: number): number | undefined {
  const byte = Buffer.alloc(1)
  return readSync(fd, byte, 0, 1, 0) === 1 ? byte[0] : undefined
}

function checkDigest(place: LoosePlace, found: Digest): void {
  if (found !== place.digest) throw corrupt(place, place.digest, found)
}

function cutShort(place: LoosePlace, size: number, found: number): CorruptObjectError {
  return corrupt(place, `${size} bytes of payload`, `${found}: the file was cut`)
}

function corrupt(
  { digest, path }: LoosePlace,
  expected: string,
  found: string,
): CorruptObjectError {
  return new CorruptObjectError(
    `object ${digest} is corrupt: expected ${expected}, found ${found} in ${path}`,
    { digest, expected, found, path },
  )
}
