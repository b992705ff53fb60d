import { fchmodSync, fchownSync, writeSync } from 'node:fs'
import { CorruptObjectError } from '../../errors.js'
import { algorithmOf, type Digest } from '../../object/digest.js'
import { digestObject } from '../../object/digester.js'
import type { PayloadPlace } from '../../store/object-store.js'
import { errnoOf } from '../../system/errno.js'
import type { FileMaker } from '../../system/file-maker.js'
import { setXattr } from '../../system/xattr.js'
import type { FileAttributes } from './file-attributes.js'
import { type FileBatch, field, fieldCount, noTime } from './file-batch.js'
import { copyPayload, readWhole } from './payload-copy.js'
import { holeBytes, SparseWriter } from './sparse-writer.js'

const roomBytes = 1024 * 1024
// Reading over a gap costs less than another call.
const maxGap = 16 * 1024

type Run = { readonly end: number; readonly offset: number; readonly length: number }

/** How a BatchWriter works; handed to threads. */
export type WriterOptions = {
  readonly verifyClones: boolean
  /** The umask, where it is known: a mode that it leaves alone is given at once. */
  readonly umask: number | undefined
}

/**
 * Makes the files of batches, verified, with as few calls as can be; synchronously, for
 * threads.
 *
 * Payloads that lie near each other are read together. A file that cannot be made whole
 * is not left behind; why it could not is told by who makes it again, carefully.
 */
export class BatchWriter {
  readonly #maker: FileMaker
  readonly #verifyClones: boolean
  /** Bits of a mode that a file does not get when it is made. */
  readonly #later: number
  readonly #room = Buffer.allocUnsafeSlow(roomBytes)

  constructor(maker: FileMaker, { verifyClones, umask = 0o777 }: WriterOptions) {
    this.#maker = maker
    this.#verifyClones = verifyClones
    this.#later = umask | ~0o777
  }

  /** Makes files; tells the numbers of those that it could not make. */
  write(batch: FileBatch): number[] {
    const order = readingOrder(batch)
    const failed: number[] = []
    for (let at = 0; at < order.length; ) {
      const run = findRun(batch, order, at)
      const isRead = run.length <= roomBytes && this.#read(batch, order[at] ?? 0, run)
      for (; at < run.end; at++) {
        const file = order[at] ?? 0
        const start = isRead ? number(batch, file, field.offset) - run.offset : undefined
        if (!this.#make(batch, file, start)) failed.push(file)
      }
    }
    return failed
  }

  #read(batch: FileBatch, file: number, { offset, length }: Run): boolean {
    const source = number(batch, file, field.source)
    try {
      return readWhole(source, this.#room.subarray(0, length), offset)
    } catch (error) {
      if (errnoOf(error) === undefined) throw error
      return false
    }
  }

  // `start`: where the payload stands in what was read.
  #make(batch: FileBatch, file: number, start: number | undefined): boolean {
    const folder = number(batch, file, field.folder)
    const name = batch.names.subarray(number(batch, file, field.nameStart))
    const size = number(batch, file, field.size)
    if (start !== undefined && !this.#isVerified(batch, file, start, size)) return false
    const { permissions, xattrs } = attributesOf(batch, file)
    // Attributes have to be set before the mode may forbid it.
    const isAtOnce = (permissions & this.#later) === 0 && xattrs.length === 0
    const fd = this.#maker.create(folder, name, isAtOnce ? permissions : 0o600)
    if (fd === -1) return false
    let isMade = false
    try {
      if (start === undefined) this.#copy(batch, file, fd)
      else writePayload(fd, this.#room, start, size)
      isMade = this.#finish(batch, file, fd, isAtOnce ? 'set' : 'unset')
    } catch (error) {
      const isExpected = error instanceof CorruptObjectError
      if (!isExpected && errnoOf(error) === undefined) throw error
    } finally {
      this.#maker.close(fd)
      if (!isMade) this.#maker.remove(folder, name)
    }
    return isMade
  }

  #isVerified(batch: FileBatch, file: number, start: number, size: number): boolean {
    const digest = digestOf(batch, file)
    const payload = this.#room.subarray(start, start + size)
    return digestObject(algorithmOf(digest), 'file', payload) === digest
  }

  // A payload that is larger than the room.
  #copy(batch: FileBatch, file: number, fd: number): void {
    const writer = new SparseWriter(fd)
    const source = { place: placeOf(batch, file), digest: digestOf(batch, file) }
    const tools = {
      rooms: [this.#room] as const,
      write: (chunk: Uint8Array) => writer.write(chunk),
      verify: this.#verifyClones,
    }
    for (const _ of copyPayload(fd, source, tools));
    writer.end()
  }

  #finish(batch: FileBatch, file: number, fd: number, mode: 'set' | 'unset'): boolean {
    const { owner, permissions, xattrs } = attributesOf(batch, file)
    if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid)
    for (const { key, value, isUser } of xattrs) if (isUser) setXattr(fd, key, value)
    if (mode === 'unset') fchmodSync(fd, permissions)
    for (const { key, value, isUser } of xattrs) if (!isUser) setXattr(fd, key, value)
    const nanoseconds = number(batch, file, field.nanoseconds)
    if (nanoseconds === noTime) return true
    const seconds = number(batch, file, field.seconds)
    return this.#maker.setTime(fd, seconds, nanoseconds)
  }
}

function readingOrder(batch: FileBatch): Uint32Array {
  const order = Uint32Array.from(batch.digests.keys())
  return order.toSorted(
    (one, other) =>
      number(batch, one, field.source) - number(batch, other, field.source) ||
      number(batch, one, field.offset) - number(batch, other, field.offset),
  )
}

function findRun(batch: FileBatch, order: Uint32Array, start: number): Run {
  const first = order[start] ?? 0
  const source = number(batch, first, field.source)
  const offset = number(batch, first, field.offset)
  let last = offset + number(batch, first, field.size)
  let end = start + 1
  for (; end < order.length; end++) {
    const file = order[end] ?? 0
    if (number(batch, file, field.source) !== source) break
    const next = number(batch, file, field.offset)
    const nextEnd = Math.max(last, next + number(batch, file, field.size))
    if (next > last + maxGap || nextEnd - offset > roomBytes) break
    last = nextEnd
  }
  return { end, offset, length: last - offset }
}

function number(batch: FileBatch, file: number, place: number): number {
  return batch.numbers[file * fieldCount + place] ?? 0
}

function placeOf(batch: FileBatch, file: number): PayloadPlace {
  return {
    type: 'file',
    fd: number(batch, file, field.source),
    offset: number(batch, file, field.offset),
    size: number(batch, file, field.size),
  }
}

function digestOf(batch: FileBatch, file: number): Digest {
  const digest = batch.digests[file]
  if (digest === undefined) throw new Error(`no file ${file} in the batch`)
  return digest
}

function attributesOf(batch: FileBatch, file: number): FileAttributes {
  const attributes = batch.attributes[number(batch, file, field.attributes)]
  if (attributes === undefined) throw new Error(`no attributes of file ${file}`)
  return attributes
}

// Small files have no block that could become a hole.
function writePayload(fd: number, room: Buffer, start: number, size: number): void {
  if (size >= holeBytes) {
    const writer = new SparseWriter(fd)
    writer.write(room.subarray(start, start + size))
    writer.end()
    return
  }
  for (let done = 0; done < size; ) done += writeSync(fd, room, start + done, size - done)
}
