import { InvalidObjectError, ObjectNotFoundError } from '../errors.js'
import { applicationTotals, decodeApplication } from '../object/application.js'
import {
  type Descriptor,
  noSubObjects,
  type SubObjectTotals,
} from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { checkedTotals } from '../object/directory.js'
import { sumDirectory } from '../object/directory-walk.js'
import { runInTurns } from '../object/in-steps.js'
import type { ObjectReader, StoreSession, WholeObject } from '../store/object-store.js'

type Known = Pick<Descriptor, 'type' | 'size'> & {
  readonly totals: SubObjectTotals | undefined
}

/**
 * What counts as there: all that the session shows, or only what this transfer received
 * itself, so that a peer who may not read learns nothing of what others published.
 */
export type KnownScope = 'session' | 'received'

/** How much a receiver remembers, and of what. */
export type KnownOptions = {
  /** By default the session. */
  readonly scope?: KnownScope
  /**
   * Received objects that are remembered where the store cannot tell of them: a forgotten
   * one has to come again when it is named again. By default all are.
   */
  readonly maxReceived?: number
}

// What is forgotten costs a look into the store when it is named again.
const maxAnswers = 4096
const receivedBytes = 200
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
  readonly #scope: KnownScope
  readonly #maxReceived: number
  /** What the session cannot answer for yet. */
  readonly #unflushed = new Map<Digest, Known>()
  /** What the session answered. */
  readonly #answers = new Map<Digest, Known>()
  /**
   * What this transfer received and cannot read back, in order of use: the totals of
   * directories, and everything where only this counts.
   */
  readonly #received = new Map<Digest, Known>()

  constructor(
    session: StoreSession,
    published: ObjectReader,
    { scope = 'session', maxReceived = Number.POSITIVE_INFINITY }: KnownOptions = {},
  ) {
    this.#session = session
    this.#published = published
    this.#scope = scope
    this.#maxReceived = maxReceived
  }

  /** Bytes of memory that this takes, about. */
  get bytes(): number {
    return (this.#received.size + this.#unflushed.size) * receivedBytes
  }

  /** Notes an object that was received and will be committed with the next flush. */
  addReceived(descriptor: Descriptor): void {
    const { digest, type, size, subObjectCount, subObjectsSize } = descriptor
    // Files and headers, by far the most, share one value.
    const isLeaf = type === 'file' || type === 'header'
    const totals = isLeaf ? noSubObjects : { subObjectCount, subObjectsSize }
    const known = { type, size, totals }
    this.#unflushed.set(digest, known)
    if (!isLeaf || this.#scope === 'received') this.#keep(digest, known)
  }

  /** Says that the session can answer for all that was received so far. */
  flushed(): void {
    this.#unflushed.clear()
  }

  /**
   * Looks up objects; `has` answers for these until the next call.
   *
   * Throws InvalidObjectError when a descriptor does not fit the object that is there.
   */
  async look(descriptors: readonly Descriptor[]): Promise<void> {
    if (this.#answers.size > maxAnswers) this.#answers.clear()
    if (this.#scope === 'session') {
      const unknown = new Map<Digest, Descriptor>()
      for (const descriptor of descriptors) {
        const { digest } = descriptor
        if (!this.has(digest)) unknown.set(digest, descriptor)
      }
      const rows = [...unknown.values()]
      for (let start = 0; start < rows.length; start += batch) {
        await this.#stat(rows.slice(start, start + batch))
      }
    }
    for (const descriptor of descriptors) {
      const known = this.#find(descriptor.digest)
      if (known !== undefined) await this.#check(descriptor, known)
    }
  }

  has(digest: Digest): boolean {
    return this.#find(digest) !== undefined
  }

  #find(digest: Digest): Known | undefined {
    const known = this.#unflushed.get(digest) ?? this.#answers.get(digest)
    if (known !== undefined || this.#scope === 'session') return known
    return this.#received.get(digest)
  }

  #keep(digest: Digest, known: Known): void {
    this.#received.delete(digest)
    this.#received.set(digest, known)
    if (this.#received.size <= this.#maxReceived) return
    for (const oldest of this.#received.keys()) {
      this.#received.delete(oldest)
      return
    }
  }

  async #stat(descriptors: readonly Descriptor[]): Promise<void> {
    const found = await this.#session.stat(descriptors.map(({ digest }) => digest))
    for (const [index, { digest, type, size }] of descriptors.entries()) {
      const info = found[index]
      // Otherwise it is damaged here, or the descriptor lies: what comes will tell.
      if (info?.type !== type || info.size !== size) continue
      const received = this.#received.get(digest)
      this.#answers.set(digest, { type, size, totals: received?.totals })
      if (received !== undefined) this.#keep(digest, received)
    }
  }

  async #check(descriptor: Descriptor, known: Known): Promise<void> {
    if (known.type !== descriptor.type || known.size !== descriptor.size) {
      throw lie(descriptor, `${known.type} of ${known.size} bytes`)
    }
    const totals = known.totals ?? (await this.#findTotals(descriptor))
    if (totals === undefined) {
      // Received here, and forgotten since: it is asked for again.
      this.#answers.delete(descriptor.digest)
      return
    }
    if (known.totals === undefined) {
      this.#answers.set(descriptor.digest, { ...known, totals })
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

  async #findTotals({ digest, type }: Descriptor): Promise<SubObjectTotals | undefined> {
    if (type === 'file' || type === 'header') return noSubObjects
    try {
      const [object] = await this.#published.read([digest])
      return object === undefined ? undefined : await totalsOfObject(object)
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return undefined
      throw error
    }
  }
}

/** The totals of a stored directory or application. */
async function totalsOfObject({ type, payload }: WholeObject): Promise<SubObjectTotals> {
  if (type === 'application') {
    return applicationTotals(decodeApplication(payload, 'tolerant'))
  }
  const { count, size } = await runInTurns(sumDirectory(payload))
  return checkedTotals(count, size)
}

function lie(descriptor: Descriptor, found: string): InvalidObjectError {
  const { type, digest, size, subObjectCount, subObjectsSize } = descriptor
  return new InvalidObjectError(
    `a reference to ${digest} does not fit the object: expected a ${type} of ${size} bytes ` +
      `with totals of ${subObjectCount} and ${subObjectsSize}, found ${found}`,
    { digest, type, size },
  )
}
