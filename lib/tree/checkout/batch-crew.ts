import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { FileMaker } from '../../system/file-maker.js'
import { type BatchOrder, takeBatch } from './batch-order.js'
import { BatchWriter, type WriterOptions } from './batch-writer.js'
import type { FileBatch } from './file-batch.js'

// Below it a second thread gains nothing: all is made before it has started.
const worthwhileEntries = 2000
const maxWorkers = 3
// What a thread makes it soon drops; more room for it is memory that only grows.
const youngMegabytes = 4

/** Batches that wait in front of a thread, so that it never runs dry. */
const batchesAhead = 3

type Waiting = BatchOrder & {
  readonly resolve: (failed: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

/** The threads that make files: some workers, and the one that hands out the batches. */
export class BatchCrew implements AsyncDisposable {
  readonly #own: BatchWriter
  readonly #members: Member[]

  /** @param workers - threads beside this one */
  constructor(maker: FileMaker, workers: number, options: WriterOptions) {
    this.#own = new BatchWriter(maker, options)
    this.#members = Array.from({ length: workers }, () => new Member(options))
  }

  /**
   * Gives a batch to a worker that has little to do, or makes it here and now; returns,
   * when there is room for another one, what will tell the files that could not be made.
   */
  async start(
    batch: FileBatch,
  ): Promise<{ readonly failed: Promise<readonly number[]> }> {
    const member = this.#members.find(({ waiting }) => waiting < batchesAhead)
    const failed =
      member === undefined ? Promise.resolve(this.#own.write(batch)) : member.give(batch)
    // Who awaits it comes later.
    failed.catch(() => {})
    // Answers of the workers are taken in between.
    await nextTurn()
    return { failed }
  }

  /** Makes a batch that waits in front of a thread; false when none does. */
  help(): boolean {
    for (const { orders } of this.#members) {
      const order = orders.findLast(takeBatch)
      if (order === undefined) continue
      try {
        order.resolve(this.#own.write(order.batch))
      } catch (error) {
        order.reject(error)
      }
      return true
    }
    return false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map(async member => member.end()))
  }
}

/** How many workers are worth their start for a tree of so many entries. */
export function workersFor(entries: number): number {
  if (entries < worthwhileEntries) return 0
  return Math.min(availableParallelism() - 1, maxWorkers)
}

class Member {
  readonly #worker: Worker
  readonly #waiting: Waiting[] = []
  #problem: unknown

  constructor(options: WriterOptions) {
    this.#worker = new Worker(new URL('./batch-worker.js', import.meta.url), {
      workerData: options,
      resourceLimits: { maxYoungGenerationSizeMb: youngMegabytes },
    })
    this.#worker.on('message', (failed: readonly number[]) =>
      this.#waiting.shift()?.resolve(failed),
    )
    this.#worker.on('error', error => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(new Error('a thread of the checkout ended')))
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** The batches that it was given and has not answered, in order. */
  get orders(): readonly Waiting[] {
    return this.#waiting
  }

  async give(batch: FileBatch): Promise<readonly number[]> {
    if (this.#problem !== undefined) throw this.#problem
    const taken = new Int32Array(new SharedArrayBuffer(4))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, taken, resolve, reject })
      this.#worker.postMessage({ batch, taken } satisfies BatchOrder)
    })
  }

  // A thread that is torn down while it loads native code takes the process with it: it
  // is asked to end.
  async end(): Promise<void> {
    if (this.#problem !== undefined) return
    const ended = once(this.#worker, 'exit')
    this.#worker.postMessage('end')
    await ended
  }

  #fail(error: unknown): void {
    this.#problem ??= error
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}
