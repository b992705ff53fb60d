import { NotRepresentableError } from '../../errors.js'
import type { SubObjectTotals } from '../../object/descriptor.js'
import type { DirectoryEncoder } from '../../object/directory-encoder.js'
import type { ObjectType } from '../../object/object-type.js'
import { maxMetadataBytes } from '../../object/received-object.js'
import type { NewObject, StoreSession } from '../../store/object-store.js'
import type { PendingDirectory, Slot } from './pending-directory.js'
import { type NamedPlace, placeOf } from './source-place.js'
import { notRepresentable } from './source-problem.js'

const maxObjects = 200
const maxEntries = 2000
const maxBytes = 4 * 1024 * 1024

/** Bytes of a file that is read whole; larger ones are streamed. */
export const maxWholeBytes = 512 * 1024

/**
 * Gathers small objects, so that a promise stands for a batch of them.
 *
 * A directory needs the digests of what is in it. It waits until they are known, while
 * the walk goes on: so a batch is as large as it may be however small folders are.
 */
export class ObjectBatch {
  readonly #session: StoreSession
  #objects: NewObject[] = []
  #slots: Slot[] = []
  #directories: PendingDirectory[] = []
  #bytes = 0
  #entries = 0
  readonly #room = Buffer.allocUnsafeSlow(maxBytes + maxWholeBytes + 1)
  #roomUsed = 0

  constructor(session: StoreSession) {
    this.#session = session
  }

  /** Whether it is time to flush. */
  get isFull(): boolean {
    return (
      this.#objects.length >= maxObjects ||
      this.#bytes >= maxBytes ||
      this.#entries >= maxEntries
    )
  }

  /** Room for a payload of up to `length` bytes, good until the next flush. */
  room(length: number): Buffer {
    return this.#room.subarray(this.#roomUsed, this.#roomUsed + length)
  }

  /** Adds a payload that lies in room(), and keeps that room for it. */
  addFile(payload: Buffer): Slot {
    this.#roomUsed += payload.length
    return this.#add('file', payload)
  }

  addHeader(payload: Uint8Array): Slot {
    return this.#add('header', payload)
  }

  /** Counts an entry of the walk, which may have added nothing. */
  countEntry(): void {
    this.#entries++
  }

  /** Adds a directory that has all its entries. */
  addDirectory(directory: PendingDirectory): void {
    if (!this.#encode(directory)) this.#directories.push(directory)
  }

  /** Stores what was added, and adds the directories that waited for it. */
  async flush(): Promise<void> {
    const objects = this.#objects
    const slots = this.#slots
    this.#objects = []
    this.#slots = []
    this.#bytes = 0
    this.#entries = 0
    if (objects.length > 0) {
      const links = await this.#session.put(objects)
      for (const [index, slot] of slots.entries()) slot.link = links[index]
    }
    this.#roomUsed = 0
    this.#directories = this.#directories.filter(directory => !this.#encode(directory))
  }

  /** Stores everything, directories that wait for others too. */
  async drain(): Promise<void> {
    do await this.flush()
    while (this.#objects.length > 0)
  }

  #add(type: ObjectType, payload: Uint8Array): Slot {
    const slot = { link: undefined }
    this.#push(type, payload, slot)
    return slot
  }

  #push(type: ObjectType, payload: Uint8Array, slot: Slot): void {
    this.#objects.push({ type, payload })
    this.#slots.push(slot)
    this.#bytes += payload.length
  }

  #encode(pending: PendingDirectory): boolean {
    const directory = pending.findDirectory()
    if (directory === undefined) return false
    this.#push('directory', encode(pending, directory), pending.slot)
    return true
  }
}

function encode(pending: PendingDirectory, directory: DirectoryEncoder): Buffer {
  const place = placeOf(pending.folder)
  pending.slot.totals = totalsAt(place, directory)
  const payload = directory.finish()
  if (payload.length > maxMetadataBytes) {
    throw notRepresentable(
      place,
      `its ${directory.count} entries take too much room: expected at most ` +
        `${maxMetadataBytes} bytes, found ${payload.length}`,
      { found: payload.length },
    )
  }
  return payload
}

function totalsAt(place: NamedPlace, directory: DirectoryEncoder): SubObjectTotals {
  try {
    return directory.totals()
  } catch (error) {
    if (error instanceof NotRepresentableError) {
      throw notRepresentable(place, error.message)
    }
    throw error
  }
}
