import {
  type CairnError,
  ConnectionLostError,
  ProtocolViolationError,
} from '../errors.js'
import type { Descriptor } from '../object/descriptor.js'
import type { ObjectReader } from '../store/object-store.js'
import { DescriptorQueue } from './descriptor-queue.js'
import type { PeerConnection } from './peer-connection.js'
import { ProgressMeter } from './progress-meter.js'
import { isPeerError, type Served, ServedObjects } from './served-objects.js'
import { readWireItem } from './wire-item.js'

/** How objects are sent. */
export type SendOptions = {
  readonly served: Served
  readonly progress?: ProgressMeter
  /**
   * Milliseconds that the peer may be silent once it has all that it asked for: it may be
   * writing everything durably before it says done. By default no longer than at other times.
   */
  readonly settleTimeoutMs?: number
  /** Hears of payload bytes before they are sent; it may take its time. */
  readonly pace?: (bytes: number) => Promise<void> | void
  /**
   * Milliseconds that the peer may take nothing of what it asked for, once it has got some
   * of it: it may be writing that durably meanwhile. By default no longer than at other times.
   */
  readonly stallTimeoutMs?: number
}

/** How a session that served every want ended, and what it served. */
export type SendResult = {
  readonly objects: number
  readonly bytes: number
  /** The peer said that it has the offered root. */
  readonly rootSkipped: boolean
} & (
  | { readonly kind: 'done' }
  /**
   * The peer closed, or sent garbage, instead of saying done. The original program does
   * that now and then after it has received everything.
   */
  | { readonly kind: 'broken-end'; readonly cause: CairnError }
)

/** Wants that a peer may have outstanding; more are refused. */
export const maxOutstanding = 256

const maxBatchBytes = 128 * 1024
const maxWriteBytes = 64 * 1024
// Of object bytes a sender keeps few: there may be many sessions, and more where they came from.
const maxUnwrittenBytes = 128 * 1024

/**
 * Serves the objects that the peer asks for, until it says that it is done (format
 * section 5).
 *
 * Goes on reading wants and skips while it writes. Throws ProtocolViolationError,
 * ConnectionLostError or TimedOutError, or what the reader throws; the caller disposes the
 * connection.
 */
export async function sendObjects(
  peer: PeerConnection,
  reader: ObjectReader,
  options: SendOptions,
): Promise<SendResult> {
  const sender = new Sender(peer, reader, options)
  const result = await sender.run()
  if (result.kind === 'done') await peer.close()
  return result
}

type Ending =
  | { readonly kind: 'done' }
  | { readonly kind: 'broken'; readonly cause: CairnError }

class Sender {
  readonly #peer: PeerConnection
  readonly #reader: ObjectReader
  readonly #served: ServedObjects
  readonly #rootDigest: string | undefined
  readonly #progress: ProgressMeter
  readonly #settleTimeoutMs: number | undefined
  readonly #stallTimeoutMs: number | undefined
  readonly #pace: (bytes: number) => Promise<void> | void
  readonly #wants = new DescriptorQueue(maxOutstanding)
  #ending: Ending | undefined
  #wakeWriter: (() => void) | undefined
  #rootSkipped = false
  #objects = 0
  #bytes = 0

  constructor(peer: PeerConnection, reader: ObjectReader, options: SendOptions) {
    this.#peer = peer
    this.#reader = reader
    this.#served = new ServedObjects(reader, options.served)
    this.#rootDigest =
      options.served.kind === 'closure' ? options.served.root.digest : undefined
    this.#progress = options.progress ?? new ProgressMeter()
    this.#settleTimeoutMs = options.settleTimeoutMs
    this.#stallTimeoutMs = options.stallTimeoutMs
    this.#pace = options.pace ?? (() => undefined)
    if (options.served.kind === 'closure') this.#progress.begin(options.served.root)
  }

  async run(): Promise<SendResult> {
    const reading = this.#readItems()
    const writing = this.#serveWants()
    try {
      await Promise.all([reading, writing])
    } catch (error) {
      // The other loop may wait for the peer: this wakes it.
      this.#peer.fail(error)
      this.#end({ kind: 'done' })
      await Promise.allSettled([reading, writing])
      throw error
    }
    const result = {
      objects: this.#objects,
      bytes: this.#bytes,
      rootSkipped: this.#rootSkipped,
    }
    return this.#ending?.kind === 'broken'
      ? { ...result, kind: 'broken-end', cause: this.#ending.cause }
      : { ...result, kind: 'done' }
  }

  async #readItems(): Promise<void> {
    try {
      for (;;) {
        const item = await readWireItem(this.#peer)
        if (item === undefined) throw this.#endedEarly()
        if (item.kind === 'done') return this.#end({ kind: 'done' })
        if (item.kind === 'want') this.#addWant(item.descriptor)
        else this.#noteSkip(item.descriptor)
      }
    } catch (error) {
      if (!isPeerError(error) || !this.#wants.empty) throw error
      this.#end({ kind: 'broken', cause: error })
    }
  }

  #addWant(descriptor: Descriptor): void {
    if (this.#wants.full) {
      throw new ProtocolViolationError(
        `too many wants: expected at most ${maxOutstanding} outstanding, found one more`,
        { limit: maxOutstanding },
      )
    }
    this.#wants.pushBack(descriptor)
    this.#adjustPatience()
    this.#wakeWriter?.()
  }

  // A peer that has got nothing yet has nothing to write durably.
  #adjustPatience(): void {
    if (this.#bytes === 0) return this.#peer.setPatience()
    const { empty } = this.#wants
    this.#peer.setPatience(empty ? this.#settleTimeoutMs : this.#stallTimeoutMs)
  }

  #noteSkip(descriptor: Descriptor): void {
    this.#progress.skip(descriptor)
    if (descriptor.digest === this.#rootDigest) this.#rootSkipped = true
  }

  #endedEarly(): ConnectionLostError {
    const unserved = this.#wants.length
    return new ConnectionLostError(
      `the peer closed before it was done, with ${unserved} wants unserved`,
      { unserved },
    )
  }

  #end(ending: Ending): void {
    this.#ending ??= ending
    this.#wakeWriter?.()
  }

  async #serveWants(): Promise<void> {
    for (;;) {
      const batch = this.#wants.first(maxOutstanding)
      if (batch.length > 0) await this.#serve(batch)
      else if (this.#ending === undefined) await this.#nextWant()
      else return
    }
  }

  async #nextWant(): Promise<void> {
    this.#adjustPatience()
    await new Promise<void>(resolve => {
      this.#wakeWriter = resolve
    })
    this.#wakeWriter = undefined
  }

  async #serve(wants: readonly Descriptor[]): Promise<void> {
    let rest = wants
    while (rest.length > 0) {
      const small = this.#smallOnes(rest)
      const row = small.length > 0 ? small : rest.slice(0, 1)
      await this.#served.check(row)
      if (small.length > 0) await this.#sendSmall(row)
      else await this.#sendLarge(row)
      rest = rest.slice(row.length)
    }
  }

  /** The wants at the front that can be read into memory together. */
  #smallOnes(wants: readonly Descriptor[]): readonly Descriptor[] {
    let bytes = 0
    let count = 0
    for (const { size } of wants) {
      bytes += size
      if (bytes > maxBatchBytes) break
      count += 1
    }
    return wants.slice(0, count)
  }

  async #sendSmall(wants: readonly Descriptor[]): Promise<void> {
    const objects = await this.#reader.read(wants.map(({ digest }) => digest))
    for (const object of objects) this.#served.learn(object)
    await this.#write(Buffer.concat(objects.map(({ payload }) => payload)))
    wants.forEach(() => this.#finishWant())
  }

  async #sendLarge(wants: readonly Descriptor[]): Promise<void> {
    for (const { type, digest } of wants) {
      if (this.#served.learns && type !== 'file') {
        const objects = await this.#reader.read([digest])
        for (const object of objects) {
          this.#served.learn(object)
          await this.#write(object.payload)
        }
      } else {
        await using stream = await this.#reader.open(digest)
        for await (const chunk of stream) await this.#write(chunk)
      }
      this.#finishWant()
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += maxWriteBytes) {
      const part = bytes.subarray(start, start + maxWriteBytes)
      await this.#pace(part.length)
      await this.#peer.write(part, maxUnwrittenBytes)
      const isFirst = this.#bytes === 0
      this.#bytes += part.length
      if (isFirst) this.#adjustPatience()
      this.#progress.addBytes(part.length)
    }
  }

  #finishWant(): void {
    this.#wants.pop()
    this.#objects += 1
    this.#progress.addObject()
  }
}
