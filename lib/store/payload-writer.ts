import { LimitExceededError } from '../errors.js'
import type { Algorithm } from '../object/algorithm.js'
import type { ObjectLink } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { createObjectDigester, type Digester } from '../object/digester.js'
import { runInTurns } from '../object/in-steps.js'
import type { ObjectType } from '../object/object-type.js'
import { maxMetadataBytes } from '../object/received-object.js'
import { checkNewObjectInSteps } from './new-object-check.js'
import type { HeldObject, ObjectWriter } from './object-store.js'

/** A payload that a session keeps aside: written, then committed or discarded. */
export interface AsidePayload {
  write(bytes: Uint8Array): void
  /** Nothing more will be written. */
  end(): void
  /** Moves the whole payload among the session's committed objects. */
  commit(link: ObjectLink): Promise<void>
  /** Harmless after commit, and twice. */
  discard(): void
}

/** What a PayloadWriter needs of its session. */
export interface PayloadKeeper {
  /** Bytes of a file that stay in memory before they are put aside. */
  readonly bufferBytes: number
  /** Throws when the session can take nothing any more. */
  checkOpen(): void
  /** @param size - of the payload, where it is known beforehand */
  putAside(type: ObjectType, algorithm: Algorithm, size?: number): AsidePayload
  commitWhole(type: ObjectType, link: ObjectLink, payload: Buffer): Promise<void>
}

/**
 * The ObjectWriter of every store: counts, digests and checks the payload, and keeps it
 * in memory while it is small.
 *
 * Headers, directories and applications stay in memory whole, since they are checked.
 */
export class PayloadWriter implements ObjectWriter {
  readonly #keeper: PayloadKeeper
  readonly #type: ObjectType
  readonly #algorithm: Algorithm
  readonly #announced: number | undefined
  readonly #digester: Digester
  #chunks: Buffer[] = []
  #aside: AsidePayload | undefined
  #size = 0
  #digest: Digest | undefined
  #ended = false

  /** @param announced - payload bytes to come, where they are known */
  constructor(
    keeper: PayloadKeeper,
    type: ObjectType,
    algorithm: Algorithm,
    announced?: number,
  ) {
    this.#keeper = keeper
    this.#type = type
    this.#algorithm = algorithm
    this.#announced = announced
    this.#digester = createObjectDigester(algorithm, type)
  }

  get size(): number {
    return this.#size
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#checkNotEnded()
    if (this.#digest !== undefined) {
      throw new Error('write after the digest of an object was taken')
    }
    this.#keeper.checkOpen()
    const size = this.#size + chunk.length
    if (this.#type !== 'file' && size > maxMetadataBytes) {
      throw new LimitExceededError(
        `a ${this.#type} is too large: expected at most ${maxMetadataBytes} bytes, found ${size} or more`,
        { type: this.#type, limit: maxMetadataBytes },
      )
    }
    try {
      this.#keep(chunk, size)
    } catch (error) {
      // Some of the chunk may be written: nothing true can follow it.
      this.#throwAway()
      throw error
    }
    this.#digester.update(chunk)
    this.#size = size
  }

  digest(): Digest {
    this.#digest ??= this.#digester.digest()
    return this.#digest
  }

  async hold(): Promise<HeldObject> {
    const link = this.#end()
    const whole = this.#aside === undefined ? await this.#whole(link) : undefined
    const aside =
      this.#aside ?? this.#keeper.putAside(this.#type, this.#algorithm, this.#size)
    try {
      if (whole !== undefined) aside.write(whole)
      aside.end()
    } catch (error) {
      aside.discard()
      throw error
    }
    return new HeldPayload(link, aside)
  }

  async commit(): Promise<ObjectLink> {
    const link = this.#end()
    if (this.#aside === undefined) {
      const whole = await this.#whole(link)
      await this.#keeper.commitWhole(this.#type, link, whole)
      return link
    }
    try {
      this.#aside.end()
      await this.#aside.commit(link)
    } finally {
      this.#aside.discard()
    }
    return link
  }

  async cancel(): Promise<void> {
    if (!this.#ended) this.#throwAway()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cancel()
  }

  #keep(chunk: Uint8Array, size: number): void {
    if (this.#aside === undefined) {
      if (this.#type !== 'file' || size <= this.#keeper.bufferBytes) {
        // The chunk is the caller's again when write returns.
        this.#chunks.push(Buffer.from(chunk))
        return
      }
      this.#aside = this.#keeper.putAside(this.#type, this.#algorithm, this.#announced)
      for (const before of this.#chunks.splice(0)) this.#aside.write(before)
    }
    this.#aside.write(chunk)
  }

  #throwAway(): void {
    this.#ended = true
    this.#chunks = []
    this.#aside?.discard()
  }

  #end(): ObjectLink {
    this.#checkNotEnded()
    this.#keeper.checkOpen()
    this.#ended = true
    return { digest: this.digest(), size: this.#size }
  }

  async #whole(link: ObjectLink): Promise<Buffer> {
    const chunks = this.#chunks.splice(0)
    const payload = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
    await runInTurns(checkNewObjectInSteps(this.#type, link.digest, payload))
    // Meanwhile the session may have ended.
    this.#keeper.checkOpen()
    return payload
  }

  #checkNotEnded(): void {
    if (this.#ended) throw new Error('the writer of an object has ended')
  }
}

class HeldPayload implements HeldObject {
  readonly link: ObjectLink
  readonly #aside: AsidePayload
  #ended = false

  constructor(link: ObjectLink, aside: AsidePayload) {
    this.link = link
    this.#aside = aside
  }

  async commit(): Promise<void> {
    if (this.#ended) throw new Error(`the held object ${this.link.digest} has ended`)
    this.#ended = true
    try {
      await this.#aside.commit(this.link)
    } finally {
      this.#aside.discard()
    }
  }

  async cancel(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#aside.discard()
  }
}
