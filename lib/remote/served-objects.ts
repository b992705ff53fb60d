import { CairnError, ObjectNotFoundError, ProtocolViolationError } from '../errors.js'
import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { walkDependencies } from '../object/received-object.js'
import type { ObjectReader, WholeObject } from '../store/object-store.js'

/** What a peer may ask for. */
export type Served =
  | { readonly kind: 'published' }
  /** Only `root` and what is below it: the peer is a stranger who was offered just that. */
  | { readonly kind: 'closure'; readonly root: Descriptor }

/**
 * Decides which wants are served.
 *
 * Of a closure it learns as it serves: what a served directory refers to may be asked for
 * next, and nobody can know of it before.
 */
export class ServedObjects {
  readonly #reader: ObjectReader
  readonly #closure: Set<Digest> | undefined

  constructor(reader: ObjectReader, served: Served) {
    this.#reader = reader
    this.#closure = served.kind === 'closure' ? new Set([served.root.digest]) : undefined
  }

  /** Whether served objects must be read whole, to see what they refer to. */
  get learns(): boolean {
    return this.#closure !== undefined
  }

  /**
   * Checks wants before anything is sent for them.
   *
   * Throws ObjectNotFoundError for what is absent or not offered, without telling which,
   * and ProtocolViolationError where type or size is not the object's: either would shift
   * the stream.
   */
  async check(wants: readonly Descriptor[]): Promise<void> {
    const found = await this.#reader.stat(wants.map(({ digest }) => digest))
    for (const [index, want] of wants.entries()) {
      const info = found[index]
      const offered = this.#closure?.has(want.digest) ?? true
      if (info === undefined || !offered) {
        throw new ObjectNotFoundError(
          `the peer asked for ${want.digest}, which is not here`,
          {
            digest: want.digest,
          },
        )
      }
      if (info.type !== want.type || info.size !== want.size) {
        throw new ProtocolViolationError(
          `the peer asked wrongly for ${want.digest}: expected a ${info.type} of ` +
            `${info.size} bytes, found a ${want.type} of ${want.size}`,
          { digest: want.digest, size: info.size, found: want.size },
        )
      }
    }
  }

  /** Notes that an object goes out, so the peer may ask for what it refers to. */
  learn(object: WholeObject): void {
    if (this.#closure === undefined) return
    for (const { digest } of walkDependencies(object.type, object.payload, 'tolerant')) {
      this.#closure.add(digest)
    }
  }
}

/** Whether an error is one that a broken or hostile peer causes. */
export function isPeerError(error: unknown): error is CairnError {
  return (
    error instanceof CairnError &&
    (error.code === 'protocol_violation' || error.code === 'connection_lost')
  )
}
