import { once } from 'node:events'
import { basename } from 'node:path'
import { type Transferable, Worker } from 'node:worker_threads'
import { unpackError } from './carried-error.js'
import {
  makeFlag,
  raiseFlag,
  type SharedFlag,
  type ThreadOrder,
  type ThreadReply,
  type ThreadStart,
} from './thread-message.js'

export type ThreadLimits = {
  /** Room for what a job makes and soon drops; more of it is memory that only grows. */
  readonly youngMegabytes?: number
}

export type JobOptions = {
  /** Ends the job early if it looks at its checkpoints; its reason is thrown then. */
  readonly signal?: AbortSignal
  /** Buffers of the job that are handed over instead of copied. */
  readonly transfer?: readonly Transferable[]
}

type Waiting<Answer> = {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

type Running = { readonly worker: Worker; readonly ending: SharedFlag }

/**
 * A thread that works off jobs in turn. Its file calls `serveJobs` with the same types, and
 * is listed in cli/packaging/make-bundle.ts.
 *
 * It starts with the first job, and keeps the process alive only while it has one. What a
 * job throws, `run` throws: errors keep class, fields and causes. When the thread dies, its
 * jobs fail, and the next one starts another. Disposing asks the thread to end and waits
 * for that: one that is torn down while it loads native code takes the process with it.
 */
export class JobThread<Job, Answer, Data = undefined> implements AsyncDisposable {
  readonly #file: URL
  readonly #data: Data
  readonly #limits: ThreadLimits
  readonly #waiting: Waiting<Answer>[] = []
  #running: Running | undefined
  #ended: Promise<void> | undefined

  /** @param data - what `serveJobs` prepares itself with in the thread */
  constructor(file: URL, data: Data, limits: ThreadLimits = {}) {
    this.#file = file
    this.#data = data
    this.#limits = limits
  }

  /** How many jobs are under way or wait for their turn. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Starts the thread ahead of its first job, since that takes some 50 ms. */
  start(): void {
    this.#start()
  }

  async run(job: Job, { signal, transfer = [] }: JobOptions = {}): Promise<Answer> {
    signal?.throwIfAborted()
    const cancelled = signal === undefined ? undefined : makeFlag()
    const cancel = (): void => {
      if (cancelled !== undefined) raiseFlag(cancelled)
    }
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      return await this.#post({ kind: 'job', job, cancelled }, transfer)
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  /** Ends the thread: a job under way ends by its next checkpoint, others are not begun. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#end()
    await this.#ended
  }

  async #post(order: ThreadOrder, transfer: readonly Transferable[]): Promise<Answer> {
    const { worker } = this.#start()
    return new Promise((resolve, reject) => {
      worker.postMessage(order, transfer)
      worker.ref()
      this.#waiting.push({ resolve, reject })
    })
  }

  #start(): Running {
    if (this.#ended !== undefined) throw new Error(`${this.#name} was asked to end`)
    this.#running ??= this.#launch()
    return this.#running
  }

  #launch(): Running {
    const { youngMegabytes } = this.#limits
    const start: ThreadStart = { data: this.#data, ending: makeFlag() }
    const worker = new Worker(this.#file, {
      workerData: start,
      // What the program was started with is for the program.
      execArgv: [],
      ...(youngMegabytes !== undefined && {
        resourceLimits: { maxYoungGenerationSizeMb: youngMegabytes },
      }),
    })
    worker.unref()
    worker.on('message', (reply: ThreadReply) => this.#settle(worker, reply))
    worker.on('error', cause =>
      this.#fail(worker, new Error(`${this.#name} failed: ${cause.message}`, { cause })),
    )
    worker.on('exit', code =>
      this.#fail(worker, new Error(`${this.#name} ended by itself, with code ${code}`)),
    )
    return { worker, ending: start.ending }
  }

  #settle(worker: Worker, reply: ThreadReply): void {
    if (this.#running?.worker !== worker) return
    const waiting = this.#waiting.shift()
    if (this.#waiting.length === 0 && this.#ended === undefined) worker.unref()
    if (reply.kind === 'answer') waiting?.resolve(reply.answer as Answer)
    else waiting?.reject(unpackError(reply.error))
  }

  // What one thread had to do is no matter of the next.
  #fail(worker: Worker, error: Error): void {
    if (this.#running?.worker !== worker) return
    this.#running = undefined
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  async #end(): Promise<void> {
    if (this.#running === undefined) return
    const { worker, ending } = this.#running
    raiseFlag(ending)
    const ended = once(worker, 'exit')
    worker.postMessage({ kind: 'end' } satisfies ThreadOrder)
    // Its end is waited for, so it is worth staying alive for.
    worker.ref()
    await ended
  }

  get #name(): string {
    return `thread ${basename(this.#file.pathname)}`
  }
}
