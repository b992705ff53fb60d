import type { Duplex } from 'node:stream'
import { ConnectionLostError } from '../errors.js'
import { defaultPatience, type Patience, PeerWatch } from './peer-watch.js'

/** How a connection is watched. */
export type PeerOptions = Partial<Patience> & {
  /** Ends the connection; pending calls throw the signal's reason. */
  readonly signal?: AbortSignal
}

/** How a longer thing is read. */
export type ReadOptions = {
  /** Asked before memory for that many bytes is taken, when the first have come. */
  readonly makeRoom?: (bytes: number) => Promise<void>
}

/** How much of something has been read before. */
export type Part = {
  readonly what: string
  readonly received: number
  readonly expected: number
}

// Written bytes that the operating system has not taken yet. Enough for a receiver to go
// on reading while some 18,000 skips wait for a slow peer.
const maxUnwrittenBytes = 1024 * 1024

// After our last byte a peer gets this long, and this much, to say that it is done too.
const closeTimeoutMs = 2000
const maxFarewellBytes = 1024 * 1024

/**
 * One end of a byte stream between two peers: exact reads, writes with back-pressure, and
 * one error that ends it all.
 *
 * The first failure (the stream's, the watch's, the signal's, or one given to `fail`)
 * closes the stream, and every pending and later call throws it. One read and one write
 * may be pending at a time. Disposing closes the stream at once.
 */
export class PeerConnection implements AsyncDisposable {
  readonly #stream: Duplex
  readonly #watch: PeerWatch
  readonly #idleTimeoutMs: number
  readonly #signal: AbortSignal | undefined
  #chunk: Buffer = Buffer.alloc(0)
  #ended = false
  #closedByPeer = false
  #failure: { readonly error: unknown } | undefined
  #wakeReader: (() => void) | undefined
  #wakeWriter: (() => void) | undefined
  #bytesReceived = 0
  #bytesSent = 0

  constructor(stream: Duplex, options: PeerOptions = {}) {
    const { signal, ...patience } = options
    const watched = { ...defaultPatience, ...patience }
    this.#stream = stream
    this.#idleTimeoutMs = watched.idleTimeoutMs
    this.#watch = new PeerWatch(watched, error => this.fail(error))
    this.#signal = signal
    stream.on('readable', this.#onReadable)
    stream.on('end', this.#onEnd)
    stream.on('drain', this.#onDrain)
    stream.on('error', this.#onError)
    stream.on('close', this.#onClose)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (signal?.aborted === true) this.fail(signal.reason)
    else if (stream.destroyed) this.#onClose()
  }

  /** Bytes taken from the peer so far. */
  get bytesReceived(): number {
    return this.#bytesReceived
  }

  /** Bytes given to the stream so far. */
  get bytesSent(): number {
    return this.#bytesSent
  }

  /** Lets the peer be silent for longer, or for no longer than at the start. */
  setPatience(idleTimeoutMs: number = this.#idleTimeoutMs): void {
    this.#watch.idleTimeoutMs = idleTimeoutMs
  }

  /**
   * Reads exactly `length` bytes of `what`; memory grows with the bytes that come.
   *
   * Throws ConnectionLostError when the stream ends before.
   */
  async read(
    length: number,
    what: string,
    { makeRoom }: ReadOptions = {},
  ): Promise<Buffer> {
    this.#throwUnreadable()
    if (this.#chunk.length >= length) return this.#take(length)
    let bytes: Buffer = Buffer.alloc(0)
    let received = 0
    while (received < length) {
      if (!(await this.#fill())) throw cutOff(received, length, what)
      const needed = Math.min(length, received + this.#chunk.length)
      // Kept apart, parts of a byte each would take hundreds of bytes each.
      if (needed > bytes.length) {
        const room = Math.min(length, Math.max(needed, 2 * bytes.length))
        await makeRoom?.(room)
        const larger = Buffer.allocUnsafeSlow(room)
        larger.set(bytes)
        bytes = larger
      }
      const part = this.#take(length - received)
      bytes.set(part, received)
      received += part.length
    }
    return bytes.subarray(0, received)
  }

  /**
   * Reads the next 1 to `maximum` bytes of something longer, of which `part` tells how far
   * it has come; throws ConnectionLostError when the stream ends.
   */
  async readPart(maximum: number, part: Part): Promise<Buffer> {
    if (await this.#fill()) return this.#take(maximum)
    throw cutOff(part.received, part.expected, part.what)
  }

  /** Reads the next 1 to `maximum` bytes; undefined at the end of the stream. */
  async readSome(maximum: number): Promise<Buffer | undefined> {
    return (await this.#fill()) ? this.#take(maximum) : undefined
  }

  /** Whether nothing more comes; waits until that is known. */
  async atEnd(): Promise<boolean> {
    return !(await this.#fill())
  }

  /** Gives bytes to the stream, and waits while it holds more than `mostUnwritten`. */
  async write(bytes: Uint8Array, mostUnwritten = maxUnwrittenBytes): Promise<void> {
    this.#throwFailure()
    if (bytes.length === 0) return
    this.#bytesSent += bytes.length
    this.#stream.write(bytes, this.#onWritten(bytes.length))
    while (this.#stream.writableLength > mostUnwritten && this.#failure === undefined) {
      await this.#waitToWrite()
    }
    this.#throwFailure()
  }

  /** Ends our side when all is written: returns when the peer closed too, or had its time to. */
  async close(): Promise<void> {
    this.#throwFailure()
    this.#stream.end(() => this.#wakeWriter?.())
    while (!this.#stream.writableFinished && this.#failure === undefined) {
      await this.#waitToWrite()
    }
    const timer = setTimeout(() => void this[Symbol.asyncDispose](), closeTimeoutMs)
    try {
      let farewell = 0
      while (!this.#stream.destroyed && farewell <= maxFarewellBytes) {
        const bytes = await this.readSome(maxFarewellBytes)
        if (bytes === undefined) break
        farewell += bytes.length
      }
    } catch (error) {
      // Our bytes are sent; how the peer leaves is its own affair.
      if (!(error instanceof ConnectionLostError)) throw error
    } finally {
      clearTimeout(timer)
      await this[Symbol.asyncDispose]()
    }
  }

  /** Ends the connection: the first error given is thrown by every pending and later call. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    this.#watch.stop()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#stream.destroy()
    this.#wake()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.fail(new ConnectionLostError('the connection was closed on this side'))
  }

  readonly #onReadable = () => this.#wakeReader?.()

  readonly #onDrain = () => this.#wakeWriter?.()

  readonly #onAbort = () => this.fail(this.#signal?.reason)

  readonly #onEnd = () => {
    this.#ended = true
    this.#wakeReader?.()
  }

  readonly #onError = (error: Error) => {
    this.fail(
      new ConnectionLostError(`connection lost: ${error.message}`, {}, { cause: error }),
    )
  }

  readonly #onClose = () => {
    this.#closedByPeer = this.#failure === undefined
    this.fail(new ConnectionLostError('connection closed by the peer'))
  }

  #onWritten(count: number): () => void {
    return () => {
      this.#watch.moved(count)
      this.#wakeWriter?.()
    }
  }

  #wake(): void {
    this.#wakeReader?.()
    this.#wakeWriter?.()
  }

  /** Waits until at least one byte can be taken; false at the end of the stream. */
  async #fill(): Promise<boolean> {
    this.#throwUnreadable()
    while (this.#chunk.length === 0) {
      this.#throwUnreadable()
      if (this.#ended) return false
      const chunk: Buffer | null = this.#stream.read()
      if (chunk !== null) {
        this.#watch.moved(chunk.length)
        this.#bytesReceived += chunk.length
        this.#chunk = chunk
      } else {
        await this.#wait(wake => {
          this.#wakeReader = wake
        })
      }
    }
    return true
  }

  #take(maximum: number): Buffer {
    const taken = this.#chunk.subarray(0, maximum)
    this.#chunk = this.#chunk.subarray(taken.length)
    return taken
  }

  async #waitToWrite(): Promise<void> {
    await this.#wait(wake => {
      this.#wakeWriter = wake
    })
  }

  async #wait(register: (wake: (() => void) | undefined) => void): Promise<void> {
    this.#watch.begin()
    await new Promise<void>(resolve => register(resolve))
    register(undefined)
    if (this.#failure === undefined) this.#watch.end()
  }

  /** What came before an orderly end can still be read after it. */
  #throwUnreadable(): void {
    if (!(this.#closedByPeer && this.#ended)) this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

function cutOff(received: number, expected: number, what: string): ConnectionLostError {
  return new ConnectionLostError(
    `connection closed after ${received} of ${expected} bytes of ${what}`,
    { what, expected, received },
  )
}
