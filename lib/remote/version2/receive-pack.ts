import { InvalidObjectError } from '../../errors.js'
import {
  applicationDependencies,
  applicationTotals,
  decodeApplication,
} from '../../object/application.js'
import {
  type Descriptor,
  leafDescriptor,
  noSubObjects,
  sameDescriptor,
} from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import {
  decodeDirectory,
  directoryDependencies,
  totalsOf,
} from '../../object/directory.js'
import { Bitmap } from '../../store/bitmap.js'
import type { ObjectReader, StoreSession } from '../../store/object-store.js'
import { importPackStream } from '../../store/pack/import-pack-stream.js'
import type { PackRecord } from '../../store/pack/pack-format.js'
import {
  codedSource,
  readPackFrom,
  type StreamedObject,
  type StreamedPart,
} from '../../store/pack/pack-stream-reader.js'
import type { StreamBytes } from '../../store/pack/stream-bytes.js'
import type { Zstd } from '../../store/pack/zstd.js'
import { readFrames } from '../../store/pack/zstd-frames.js'
import { KnownObjects, type KnownScope } from '../known-objects.js'
import { MemoryBudget, type MemoryLease } from '../memory-budget.js'
import { ProgressMeter } from '../progress-meter.js'
import { ReceiveBudget, type ReceiveLimits } from '../receive-limits.js'
import type { ReceiveResult } from '../receive-objects.js'
import { incomplete } from './closure-errors.js'

/** How a pack is received. */
export type ReceivePackOptions = {
  /** Published objects of the store that the session adds to. */
  readonly published: ObjectReader
  /** Names the stream in errors. */
  readonly where: string
  readonly zstd: () => Promise<Zstd>
  readonly limits?: Partial<ReceiveLimits>
  readonly progress?: ProgressMeter
  /** What need not come: all that the session shows, unless the peer may not read here. */
  readonly known?: KnownScope
  /** Where the memory for large objects, and for what is remembered, comes from. */
  readonly memory?: MemoryBudget
}

/**
 * Commits the objects of a pack stream, each verified, and each only when everything that
 * it refers to is committed or published: so every prefix of the stream leaves whole
 * closures.
 *
 * Throws IncompleteClosureError for a reference to what neither came nor is there,
 * InvalidObjectError, CorruptObjectError, LimitExceededError, ConnectionLostError. What
 * was committed before an error stays in the session.
 */
export class PackReceiver implements Disposable {
  readonly #session: StoreSession
  readonly #options: ReceivePackOptions
  readonly #known: KnownObjects
  readonly #budget: ReceiveBudget
  readonly #memory: MemoryLease
  readonly #progress: ProgressMeter
  #isEmpty = true
  #objects = 0
  #bytes = 0
  #references = 0

  constructor(session: StoreSession, options: ReceivePackOptions) {
    this.#session = session
    this.#options = options
    const { published, known: scope = 'session', memory = unbounded() } = options
    this.#known = new KnownObjects(session, published, { scope })
    this.#memory = memory.open()
    this.#budget = new ReceiveBudget(options.limits)
    this.#progress = options.progress ?? new ProgressMeter()
  }

  /** What was committed so far. */
  get result(): ReceiveResult {
    const skipped = Math.max(0, this.#references + 1 - this.#objects)
    return { objects: this.#objects, bytes: this.#bytes, skipped }
  }

  /** Whether nothing came, now or earlier. */
  get isEmpty(): boolean {
    return this.#isEmpty
  }

  /** Checks what a root announces to be below it; throws LimitExceededError. */
  checkTree(root: Descriptor): void {
    this.#budget.checkTree(root)
  }

  /** Which objects need not come: bit n for digest n. */
  async present(digests: readonly Digest[]): Promise<Bitmap> {
    if (this.#options.known !== 'received') return this.#session.has(digests)
    const present = new Bitmap(digests.length)
    for (const [index, digest] of digests.entries()) {
      if (this.#known.has(digest)) present.set(index)
    }
    return present
  }

  /** Gives back the memory that it holds. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]()
  }

  /** Receives a pack to its end. */
  async receive(bytes: StreamBytes): Promise<void> {
    const { where, zstd } = this.#options
    // Small objects are held against their digests when they are committed.
    await this.#take(readPackFrom(bytes, { where, zstd, verify: 'checksums' }), one => {
      this.#objects += 1
      this.#bytes += one.size
      this.#progress.addObject()
      this.#progress.addBytes(one.size)
    })
  }

  /** Commits what an earlier transfer brought: it does not count as received. */
  async adopt(
    parts: AsyncIterable<StreamedPart>,
    onObject: (descriptor: Descriptor) => void,
  ): Promise<void> {
    await this.#take(parts, onObject)
  }

  async #take(
    parts: AsyncIterable<StreamedPart>,
    onObject: (descriptor: Descriptor) => void,
  ): Promise<void> {
    for await (const part of parts) {
      const descriptors =
        part.kind === 'whole'
          ? await this.#receiveWhole(part.objects)
          : await this.#receiveLarge(part)
      for (const descriptor of descriptors) {
        this.#known.addReceived(descriptor)
        this.#isEmpty = false
        onObject(descriptor)
      }
      this.#known.flushed()
      await this.#memory.hold(this.#known.bytes)
    }
  }

  async #receiveWhole(objects: readonly StreamedObject[]): Promise<Iterable<Descriptor>> {
    for (const object of objects) this.#budget.take(leaf(object))
    const inner = objects.filter(isInner)
    // Leaves first: within a segment large files stand behind what refers to them.
    const leaves = objects.filter(object => !isInner(object))
    const isCoded = inner.some(({ codec }) => codec !== 'raw')
    const zstd = isCoded ? await this.#options.zstd() : undefined
    const descriptors = new Map<Digest, Descriptor>()
    for (const object of leaves) descriptors.set(object.digest, leaf(object))
    const parsed = inner.map(object => inspect(object, plainOf(object, zstd)))
    for (const { descriptor } of parsed) descriptors.set(descriptor.digest, descriptor)
    await this.#checkReferences(parsed, descriptors)
    await this.#commit({ kind: 'whole', objects: [...leaves, ...inner] })
    return descriptors.values()
  }

  async #receiveLarge({ record, chunks }: LargePart): Promise<Descriptor[]> {
    this.#budget.take(leaf(record))
    if (record.type === 'file' || record.type === 'header') {
      await this.#commit({ kind: 'large', record, chunks })
      return [leaf(record)]
    }
    // A directory beyond what a segment gathers: whole in memory, stored and plain.
    await this.#memory.hold(this.#known.bytes + 3 * record.size)
    const pieces: Buffer[] = []
    for await (const chunk of chunks) pieces.push(chunk)
    const stored = Buffer.concat(pieces)
    const zstd = record.codec === 'raw' ? undefined : await this.#options.zstd()
    const object = inspect(record, plainOf({ ...record, stored }, zstd))
    await this.#checkReferences([object], new Map())
    await this.#commit({ kind: 'large', record, chunks: again(pieces) })
    return [object.descriptor]
  }

  async #commit(part: StreamedPart): Promise<void> {
    await importPackStream(again([part]), this.#session, this.#options.zstd)
  }

  /** Checks that everything that is referred to came along, came before, or is there. */
  async #checkReferences(
    objects: readonly InnerObject[],
    along: ReadonlyMap<Digest, Descriptor>,
  ): Promise<void> {
    const elsewhere = objects.flatMap(({ references }) =>
      references.filter(({ digest }) => !along.has(digest)),
    )
    await this.#known.look(elsewhere)
    for (const { descriptor, references } of objects) {
      this.#references += references.length
      for (const reference of references) {
        const { digest, type } = reference
        const found = along.get(digest)
        if (found === undefined && !this.#known.has(digest)) {
          throw incomplete(this.#options.where, reference, descriptor.digest)
        }
        if (found !== undefined && !sameDescriptor(found, reference)) {
          throw new InvalidObjectError(
            `a reference of ${descriptor.digest} does not fit the object ${digest}`,
            { digest, type, parent: descriptor.digest },
          )
        }
      }
    }
  }
}

type LargePart = Extract<StreamedPart, { kind: 'large' }>

type InnerObject = {
  readonly descriptor: Descriptor
  readonly references: readonly Descriptor[]
}

function isInner({ type }: PackRecord): boolean {
  return type === 'directory' || type === 'application'
}

function leaf({ digest, size, type }: PackRecord): Descriptor {
  return type === 'file' || type === 'header'
    ? leafDescriptor(type, { digest, size })
    : { digest, size, type, ...noSubObjects }
}

function inspect({ digest, type }: PackRecord, payload: Buffer): InnerObject {
  const size = payload.length
  if (type === 'application') {
    const application = decodeApplication(payload, 'strict')
    return {
      descriptor: { digest, type, size, ...applicationTotals(application) },
      references: applicationDependencies(application),
    }
  }
  const directory = decodeDirectory(payload, 'strict')
  return {
    descriptor: { digest, type, size, ...totalsOf(directory) },
    references: directoryDependencies(directory),
  }
}

function plainOf(object: StreamedObject, zstd: Zstd | undefined): Buffer {
  if (zstd === undefined || object.codec === 'raw') return object.stored
  const range = { from: 0, to: object.size }
  return Buffer.concat([...readFrames(codedSource(object, object.stored), zstd, range)])
}

function unbounded(): MemoryBudget {
  return new MemoryBudget({ bytes: Number.POSITIVE_INFINITY })
}

async function* again<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items
}
