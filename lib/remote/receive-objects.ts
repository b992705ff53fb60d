import {
  CorruptObjectError,
  InvalidObjectError,
  NotRepresentableError,
} from '../errors.js'
import { type Descriptor, sameDescriptor } from '../object/descriptor.js'
import { algorithmOf, type Digest } from '../object/digest.js'
import { digestObject } from '../object/digester.js'
import { runInTurns } from '../object/in-steps.js'
import { parseReceivedObject } from '../object/received-object.js'
import type { HeldObject, ObjectReader, StoreSession } from '../store/object-store.js'
import { CommitOrder } from './commit-order.js'
import { DescriptorQueue } from './descriptor-queue.js'
import { DescriptorStack } from './descriptor-stack.js'
import { KnownObjects, type KnownScope } from './known-objects.js'
import { MemoryBudget, type MemoryLease } from './memory-budget.js'
import type { PeerConnection } from './peer-connection.js'
import { ProgressMeter } from './progress-meter.js'
import { ReceiveBudget, type ReceiveLimits } from './receive-limits.js'
import { encodeWireItem } from './wire-item.js'

/** How objects are received. */
export type ReceiveOptions = {
  /** Published objects of the store that the session adds to. */
  readonly published: ObjectReader
  readonly limits?: Partial<ReceiveLimits>
  readonly progress?: ProgressMeter
  /** What need not come: by default all that the session shows. */
  readonly known?: KnownScope
  /** Memory that is shared with other transfers; without it the limits alone count. */
  readonly memory?: MemoryBudget
  /** Hears of payload bytes as they come; it may take its time, or refuse them. */
  readonly admit?: (bytes: number) => Promise<void> | void
  /**
   * Runs when everything is published, before the peer is told that all is done. Without
   * it the peer is let go as soon as everything has come.
   */
  readonly confirm?: () => Promise<void>
}

/** What a session received. */
export type ReceiveResult = {
  readonly objects: number
  readonly bytes: number
  /** References to what was here, or had come, already. */
  readonly skipped: number
}

/** The most objects that may be under way at once, the one being received counted in. */
export const maxInFlight = 256

// Below this a file is cheaper to keep in memory until the next batch than to stream.
const maxBatchedFileBytes = 16 * 1024
const fileChunkBytes = 1024 * 1024
const itemsPerWrite = 1024

// Of a large directory so many references are looked at in one go.
const referencesAtOnce = 1024

// What came and is named again after so many others comes again.
const maxReceived = 65_536

// What one object takes that is missing: its digest, descriptor and places in tables.
const pendingBytes = 320

/**
 * Receives `root` and everything below it that the session lacks, commits it children
 * first, and publishes it (format sections 5 and 7).
 *
 * Asks in the order of the original program. Every object is verified against its digest
 * and parsed strictly; an error names the object. After one the caller disposes session
 * and connection: nothing of it is to be kept.
 */
export async function receiveObjects(
  peer: PeerConnection,
  root: Descriptor,
  session: StoreSession,
  options: ReceiveOptions,
): Promise<ReceiveResult> {
  using receiver = new Receiver(peer, session, options)
  const result = await receiver.run(root)
  const { confirm } = options
  if (confirm !== undefined) {
    await session.publish([root.digest])
    await confirm()
  }
  await peer.write(encodeWireItem({ kind: 'done' }))
  await peer.close()
  if (confirm === undefined) await session.publish([root.digest])
  return result
}

/** An object that was received, while objects that it refers to were not. */
type Waiting = {
  readonly descriptor: Descriptor
  readonly held: HeldObject
  /** References to objects that are not committed yet, each counted as often as it stands. */
  missing: number
}

/** An object that was asked for; it stays expected until its closure is complete. */
type Expected = { readonly descriptor: Descriptor; waiting: Waiting[] | undefined }

class Receiver implements Disposable {
  readonly #peer: PeerConnection
  readonly #session: StoreSession
  readonly #progress: ProgressMeter
  readonly #budget: ReceiveBudget
  readonly #known: KnownObjects
  readonly #commits: CommitOrder
  readonly #inFlight = new DescriptorQueue(maxInFlight)
  readonly #wanted = new DescriptorStack()
  readonly #expected = new Map<Digest, Expected>()
  readonly #memory: MemoryLease
  readonly #admit: (bytes: number) => Promise<void> | void
  #objects = 0
  #skipped = 0
  #bytes = 0
  #outgoing: Buffer[] = []

  constructor(peer: PeerConnection, session: StoreSession, options: ReceiveOptions) {
    this.#peer = peer
    this.#session = session
    this.#progress = options.progress ?? new ProgressMeter()
    this.#budget = new ReceiveBudget(options.limits)
    const { published, known: scope = 'session', memory = unbounded(), admit } = options
    this.#known = new KnownObjects(session, published, {
      scope,
      maxReceived,
    })
    this.#commits = new CommitOrder(session)
    this.#memory = memory.open()
    this.#admit = admit ?? (() => undefined)
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]()
  }

  async run(root: Descriptor): Promise<ReceiveResult> {
    this.#progress.begin(root)
    this.#budget.checkTree(root)
    await this.#known.look([root])
    if (this.#known.has(root.digest)) await this.#skip(root)
    else {
      this.#expect(root)
      this.#ask()
    }
    await this.#send()
    for (;;) {
      const next = this.#inFlight.peek()
      if (next === undefined) break
      await this.#receive(next)
      this.#inFlight.pop()
      this.#ask()
      await this.#send()
    }
    await this.#flush()
    return { objects: this.#objects, bytes: this.#bytes, skipped: this.#skipped }
  }

  /** Pops wants off the stack while the peer may have more under way. */
  #ask(): void {
    while (!this.#inFlight.full) {
      const descriptor = this.#wanted.pop()
      if (descriptor === undefined) return
      this.#outgoing.push(encodeWireItem({ kind: 'want', descriptor }))
      this.#inFlight.pushBack(descriptor)
    }
  }

  async #skip(descriptor: Descriptor): Promise<void> {
    this.#skipped += 1
    this.#progress.skip(descriptor)
    this.#outgoing.push(encodeWireItem({ kind: 'skip', descriptor }))
    if (this.#outgoing.length >= itemsPerWrite) await this.#send()
  }

  async #send(): Promise<void> {
    const items = Buffer.concat(this.#outgoing)
    this.#outgoing = []
    await this.#peer.write(items)
  }

  #expect(descriptor: Descriptor): Expected {
    this.#budget.take(descriptor)
    const expected = { descriptor, waiting: undefined }
    this.#expected.set(descriptor.digest, expected)
    this.#budget.checkPending(this.#expected.size)
    this.#wanted.pushFront(descriptor)
    return expected
  }

  async #receive(descriptor: Descriptor): Promise<void> {
    if (descriptor.type === 'file' && descriptor.size > maxBatchedFileBytes) {
      await this.#receiveFile(descriptor)
    } else {
      const payload = await this.#receivePayload(descriptor)
      const dependencies = await parse(descriptor, payload)
      const missing = await this.#findMissing(dependencies, payload.length)
      if (missing.length === 0) {
        const { digest, type } = descriptor
        // A view would keep alive all that the socket gave along with it.
        const own = Buffer.from(payload)
        this.#commits.add({ kind: 'whole', digest, type, payload: own })
        this.#complete(descriptor)
      } else await this.#hold(descriptor, payload, missing)
    }
    this.#objects += 1
    this.#bytes += descriptor.size
    this.#progress.addObject()
    if (this.#commits.due) await this.#flush()
    await this.#holdMemory(0)
  }

  /** Says what memory is held: a payload that is being worked on, and what is missing. */
  async #holdMemory(payloadBytes: number): Promise<void> {
    const pending = this.#expected.size * pendingBytes
    // The session copies a payload that is held.
    await this.#memory.hold(2 * payloadBytes + pending + this.#known.bytes)
  }

  async #receivePayload(descriptor: Descriptor): Promise<Buffer> {
    const { digest, type, size } = descriptor
    await this.#admit(size)
    const payload = await this.#peer.read(size, `${type} ${digest}`, {
      makeRoom: async bytes => this.#holdMemory(bytes),
    })
    this.#progress.addBytes(size)
    checkDigest(descriptor, digestObject(algorithmOf(digest), type, payload))
    return payload
  }

  async #receiveFile(descriptor: Descriptor): Promise<void> {
    const { digest, type, size } = descriptor
    await using writer = await this.#session.stream({
      type,
      algorithm: algorithmOf(digest),
      size,
    })
    for (let left = size; left > 0; ) {
      const chunk = await this.#peer.readPart(Math.min(left, fileChunkBytes), {
        what: `${type} ${digest}`,
        received: size - left,
        expected: size,
      })
      await this.#admit(chunk.length)
      await writer.write(chunk)
      left -= chunk.length
      this.#progress.addBytes(chunk.length)
    }
    checkDigest(descriptor, writer.digest())
    await writer.commit()
    this.#known.addReceived(descriptor)
    this.#complete(descriptor)
  }

  /**
   * Sorts the references of a received object into skips and wants, in their order.
   *
   * Returns those that must come before it can be committed, as often as they stand.
   */
  async #findMissing(
    dependencies: Iterable<Descriptor>,
    payloadBytes: number,
  ): Promise<Expected[]> {
    const missing: Expected[] = []
    let row: Descriptor[] = []
    const sort = async (): Promise<void> => {
      await this.#sort(row, missing)
      row = []
    }
    for (const dependency of dependencies) {
      row.push(dependency)
      if (row.length < referencesAtOnce) continue
      await sort()
      await this.#holdMemory(payloadBytes)
    }
    await sort()
    return missing
  }

  async #sort(dependencies: readonly Descriptor[], missing: Expected[]): Promise<void> {
    await this.#known.look(
      dependencies.filter(({ digest }) => !this.#expected.has(digest)),
    )
    for (const dependency of dependencies) {
      const expected = this.#expected.get(dependency.digest)
      if (expected !== undefined) {
        checkSameReference(expected.descriptor, dependency)
        missing.push(expected)
        await this.#skip(dependency)
      } else if (this.#known.has(dependency.digest)) {
        await this.#skip(dependency)
      } else missing.push(this.#expect(dependency))
    }
  }

  async #hold(
    descriptor: Descriptor,
    payload: Buffer,
    missing: readonly Expected[],
  ): Promise<void> {
    const { digest, type } = descriptor
    await using writer = await this.#session.stream({
      type,
      algorithm: algorithmOf(digest),
    })
    await writer.write(payload)
    checkDigest(descriptor, writer.digest())
    const waiting = { descriptor, held: await writer.hold(), missing: missing.length }
    for (const expected of missing) {
      // An empty array would take room for many at its first.
      if (expected.waiting === undefined) expected.waiting = [waiting]
      else expected.waiting.push(waiting)
    }
  }

  /** Releases what waited for an object, up to the root. */
  #complete(first: Descriptor): void {
    const complete = [first]
    for (let done = complete.pop(); done !== undefined; done = complete.pop()) {
      this.#known.addReceived(done)
      const waiting = this.#expected.get(done.digest)?.waiting ?? []
      this.#expected.delete(done.digest)
      for (const parent of waiting) {
        parent.missing -= 1
        if (parent.missing > 0) continue
        this.#commits.add({ kind: 'held', held: parent.held })
        complete.push(parent.descriptor)
      }
    }
  }

  async #flush(): Promise<void> {
    await this.#commits.flush()
    this.#known.flushed()
  }
}

function unbounded(): MemoryBudget {
  return new MemoryBudget({ bytes: Number.POSITIVE_INFINITY })
}

async function parse(
  descriptor: Descriptor,
  payload: Buffer,
): Promise<Iterable<Descriptor>> {
  try {
    return await runInTurns(parseReceivedObject(descriptor, payload))
  } catch (error) {
    if (
      !(error instanceof InvalidObjectError || error instanceof NotRepresentableError)
    ) {
      throw error
    }
    const { digest, type } = descriptor
    throw new InvalidObjectError(
      `received ${type} ${digest} is refused: ${error.message}`,
      { ...error.facts, digest, type },
      { cause: error },
    )
  }
}

function checkDigest({ digest, type, size }: Descriptor, found: Digest): void {
  if (found === digest) return
  throw new CorruptObjectError(
    `received ${type} of ${size} bytes has another digest: expected ${digest}, found ${found}`,
    { expected: digest, found, type, size },
  )
}

function checkSameReference(one: Descriptor, other: Descriptor): void {
  if (sameDescriptor(one, other)) return
  throw new InvalidObjectError(
    `two references to ${one.digest} contradict each other: ` +
      `${one.type} of ${one.size} bytes, and ${other.type} of ${other.size} bytes`,
    { digest: one.digest },
  )
}
