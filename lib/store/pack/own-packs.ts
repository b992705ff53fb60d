import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Algorithm } from '../../object/algorithm.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectType } from '../../object/object-type.js'
import { type DirectOwner, DirectPayload } from './large-payload.js'
import type { PackCalls } from './pack-calls.js'
import { PackFile } from './pack-file.js'
import { packSuffix } from './pack-folder.js'
import type { RecordFields } from './pack-format.js'
import { PackWriter } from './pack-writer.js'

/** A pack of a session that nobody writes to any more. */
export class WaitingPack {
  readonly name: string
  readonly path: string
  #writer: PackWriter | undefined
  #file: PackFile | undefined

  constructor(writer: PackWriter) {
    this.#writer = writer
    this.path = writer.path
    this.name = writer.path.slice(writer.path.lastIndexOf('/') + 1)
  }

  /** The writer, until the pack is sealed. */
  get writer(): PackWriter | undefined {
    return this.#writer
  }

  describe(digest: Digest): RecordFields | undefined {
    return this.#writer?.describe(digest) ?? this.#file?.find(digest)
  }

  /** Makes it durable, once; from then on its table is read from the file. */
  async seal(): Promise<void> {
    if (this.#writer === undefined) return
    await this.#writer.seal()
    this.#file = PackFile.open(this.path)
    this.#writer = undefined
  }

  /** Closes the file. */
  close(): void {
    this.#writer?.abandon()
    this.#file?.retire()
  }
}

/**
 * The packs that a session writes: one for what comes whole, and one for each large
 * payload that is being written, used again for the next.
 */
export class OwnPacks {
  readonly folder: string
  readonly #calls: PackCalls
  readonly #direct = new Set<DirectPayload>()
  /** Packs of large payloads that none is being written to. */
  readonly #idle: PackWriter[] = []
  /** Every one that may have its file open. */
  readonly #written = new Set<PackWriter>()
  #main: PackWriter | undefined
  #waiting: readonly WaitingPack[] = []

  constructor(folder: string, calls: PackCalls) {
    this.folder = folder
    this.#calls = calls
  }

  /** Packs that were closed to writing and are not published, in the order to publish. */
  get waiting(): readonly WaitingPack[] {
    return this.#waiting
  }

  /** Whether the pack for whole objects should make way for a new one. */
  get isFull(): boolean {
    return this.#main?.isFull === true
  }

  /** The pack for what comes whole. */
  get main(): PackWriter {
    this.#main ??= this.#newWriter()
    return this.#main
  }

  /** What these packs hold under a digest. */
  describe(digest: Digest): RecordFields | undefined {
    const inMain = this.#main?.describe(digest)
    if (inMain !== undefined) return inMain
    for (const writer of this.#writers()) {
      const found = writer.describe(digest)
      if (found !== undefined) return found
    }
    for (const pack of this.#waiting) {
      const found = pack.describe(digest)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Starts a large payload in a pack of its own or an idle one. */
  startDirect(
    object: { type: ObjectType; size: number; algorithm: Algorithm },
    owner: DirectOwner,
  ): DirectPayload {
    const writer = this.#idle.pop() ?? this.#newWriter()
    const payload = new DirectPayload(object, writer, owner)
    this.#direct.add(payload)
    return payload
  }

  /** Takes back the pack of a large payload that has ended. */
  release(payload: DirectPayload): void {
    this.#direct.delete(payload)
    this.#idle.push(payload.writer)
  }

  /**
   * Closes every pack that holds objects to writing.
   *
   * Those of large files come first: what is in the other may refer to them.
   */
  close(): void {
    for (const payload of this.#direct) {
      const { writer } = payload
      if (writer.count === 0) continue
      payload.moveTo(this.#newWriter(), this.#calls)
      this.#idle.push(writer)
    }
    const writers = this.#idle.splice(0)
    if (this.#main !== undefined) writers.push(this.#main)
    this.#main = undefined
    const filled = writers.filter(({ count }) => count > 0)
    this.#idle.push(...writers.filter(({ count }) => count === 0))
    this.#waiting = [...this.#waiting, ...filled.map(writer => new WaitingPack(writer))]
  }

  /** Makes the waiting packs durable; also after an error nothing goes on writing. */
  async seal(): Promise<void> {
    const sealing = this.#waiting.map(async pack => {
      const { writer } = pack
      await pack.seal()
      if (writer !== undefined) this.#written.delete(writer)
    })
    for (const result of await Promise.allSettled(sealing)) {
      if (result.status === 'rejected') throw result.reason
    }
  }

  /** Forgets packs that were published. */
  forget(published: readonly WaitingPack[]): void {
    for (const pack of published) pack.close()
    this.#waiting = this.#waiting.filter(pack => !published.includes(pack))
  }

  /** Writes out what is gathered, then closes every file as it is. */
  leave(): void {
    endAll([
      ...[...this.#written].map(writer => () => writer.leave()),
      () => this.abandon(),
    ])
  }

  /** Closes every file; what was not published is lost. */
  abandon(): void {
    for (const payload of this.#direct) payload.abandon()
    this.#direct.clear()
    this.#idle.length = 0
    this.#main = undefined
    const waiting = this.#waiting
    this.#waiting = []
    const written = [...this.#written]
    this.#written.clear()
    endAll([
      ...written.map(writer => () => writer.abandon()),
      ...waiting.map(pack => () => pack.close()),
    ])
  }

  newPath(suffix: string): string {
    return join(this.folder, `${randomBytes(16).toString('hex')}${suffix}`)
  }

  *#writers(): Generator<PackWriter> {
    yield* this.#idle
    for (const { writer } of this.#direct) yield writer
  }

  #newWriter(): PackWriter {
    const writer = new PackWriter(this.newPath(packSuffix), this.#calls)
    this.#written.add(writer)
    return writer
  }
}

/** Runs every one of them, then throws the first error that one threw. */
export function endAll(ends: readonly (() => void)[]): void {
  const failures: unknown[] = []
  for (const end of ends) {
    try {
      end()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}
