import { InvalidObjectError, ObjectNotFoundError } from '../errors.js'
import { applicationTotals, decodeApplication } from '../object/application.js'
import {
  type Descriptor,
  noSubObjects,
  type SubObjectTotals,
} from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { decodeDirectory, totalsOf } from '../object/directory.js'
import type { ObjectReader, StoreSession, WholeObject } from '../store/object-store.js'

type Known = Pick<Descriptor, 'type' | 'size'> & {
  readonly totals: SubObjectTotals | undefined
}

// What is forgotten costs a look into the store when it is named again.
const maxRemembered = 4096
const batch = 1024

/**
 * What a receiver need not ask for: objects that its session shows, or received itself.
 *
 * A reference to one of them must say the truth about type, size and totals, or the totals
 * of whatever refers to it would lie for ever.
 */
export class KnownObjects {
  readonly #session: StoreSession
  readonly #published: ObjectReader
  readonly #remembered = new Map<Digest, Known>()
  /** Directories of this session: it cannot read them back for their totals. */
  readonly #received = new Map<Digest, SubObjectTotals>()

  constructor(session: StoreSession, published: ObjectReader) {
    this.#session = session
    this.#published = published
  }

  /** Notes an object that was received and will be committed with the next flush. */
  addReceived(descriptor: Descriptor): void {
    const { digest, type, size, subObjectCount, subObjectsSize } = descriptor
    // Files and headers, by far the most, share one value.
    const isLeaf = type === 'file' || type === 'header'
    const totals = isLeaf ? noSubObjects : { subObjectCount, subObjectsSize }
    if (!isLeaf) this.#received.set(digest, totals)
    this.#remembered.set(digest, { type, size, totals })
  }

  /** Says that the session can answer for all that was received so far. */
  flushed(): void {
    if (this.#remembered.size > maxRemembered) this.#remembered.clear()
  }

  /**
   * Looks up objects; `has` answers for these until the next call.
   *
   * Throws InvalidObjectError when a descriptor does not fit the object that is there.
   */
  async look(descriptors: readonly Descriptor[]): Promise<void> {
    const unknown = new Map<Digest, Descriptor>()
    for (const descriptor of descriptors) {
      if (!this.#remembered.has(descriptor.digest))
        unknown.set(descriptor.digest, descriptor)
    }
    const rows = [...unknown.values()]
    for (let start = 0; start < rows.length; start += batch) {
      await this.#stat(rows.slice(start, start + batch))
    }
    for (const descriptor of descriptors) {
      const known = this.#remembered.get(descriptor.digest)
      if (known !== undefined) await this.#check(descriptor, known)
    }
  }

  has(digest: Digest): boolean {
    return this.#remembered.has(digest)
  }

  async #stat(descriptors: readonly Descriptor[]): Promise<void> {
    const found = await this.#session.stat(descriptors.map(({ digest }) => digest))
    for (const [index, { digest, type, size }] of descriptors.entries()) {
      const info = found[index]
      // Otherwise it is damaged here, or the descriptor lies: what comes will tell.
      if (info?.type === type && info.size === size) {
        this.#remembered.set(digest, { type, size, totals: this.#received.get(digest) })
      }
    }
  }

  async #check(descriptor: Descriptor, known: Known): Promise<void> {
    if (known.type !== descriptor.type || known.size !== descriptor.size) {
      throw lie(descriptor, `${known.type} of ${known.size} bytes`)
    }
    const totals = known.totals ?? (await this.#readTotals(descriptor))
    if (known.totals === undefined) {
      this.#remembered.set(descriptor.digest, { ...known, totals })
    }
    if (
      totals.subObjectCount !== descriptor.subObjectCount ||
      totals.subObjectsSize !== descriptor.subObjectsSize
    ) {
      throw lie(
        descriptor,
        `totals of ${totals.subObjectCount} and ${totals.subObjectsSize}`,
      )
    }
  }

  async #readTotals({ digest, type }: Descriptor): Promise<SubObjectTotals> {
    if (type === 'file' || type === 'header') return noSubObjects
    const [object] = await this.#published.read([digest])
    if (object === undefined)
      throw new ObjectNotFoundError(`no object ${digest}`, { digest })
    return totalsOfObject(object)
  }
}

/** The totals of a stored directory or application. */
function totalsOfObject({ type, payload }: WholeObject): SubObjectTotals {
  return type === 'application'
    ? applicationTotals(decodeApplication(payload, 'tolerant'))
    : totalsOf(decodeDirectory(payload, 'tolerant'))
}

function lie(descriptor: Descriptor, found: string): InvalidObjectError {
  const { type, digest, size, subObjectCount, subObjectsSize } = descriptor
  return new InvalidObjectError(
    `a reference to ${digest} does not fit the object: expected a ${type} of ${size} bytes ` +
      `with totals of ${subObjectCount} and ${subObjectsSize}, found ${found}`,
    { digest, type, size },
  )
}
