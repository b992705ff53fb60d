import { availableParallelism } from 'node:os'
import type { Algorithm } from '../../../object/algorithm.js'
import type { Digest } from '../../../object/digest.js'
import { JobThread } from '../../../system/thread/job-thread.js'
import { BatchReader } from './batch-reader.js'
import type { FileBatch, SharedBatch } from './file-batch.js'

// More threads do not help one that writes down what they read.
const maxThreads = 3
/** Batches that a thread has at hand, so that it never runs dry. */
const batchesAhead = 2
// What a thread makes it soon drops; more room for it is memory that only grows.
const youngMegabytes = 4

/** What came of the files of a batch, as BatchReader.read tells it. */
export type BatchDigests = readonly (Digest | undefined)[]

/** Those who read batches of files: some threads, and the one that hands the batches out. */
export class ReadingCrew implements AsyncDisposable {
  readonly #own: BatchReader
  readonly #threads: readonly JobThread<SharedBatch, BatchDigests, string>[]

  private constructor(own: BatchReader, { name }: Algorithm) {
    this.#own = own
    const file = new URL('./reading-worker.js', import.meta.url)
    const count = Math.min(availableParallelism() - 1, maxThreads)
    this.#threads = Array.from(
      { length: count },
      () => new JobThread(file, name, { youngMegabytes }),
    )
  }

  /** Makes one; undefined where the platform has no calls for it. */
  static find(algorithm: Algorithm): ReadingCrew | undefined {
    const own = BatchReader.find(algorithm)
    return own && new ReadingCrew(own, algorithm)
  }

  /** Starts the threads, which take their time: there is something to read. */
  wake(): void {
    for (const thread of this.#threads) thread.start()
  }

  /** Has a batch read by a thread that has little to do, or reads it here and now. */
  read(batch: FileBatch): BatchDigests | Promise<BatchDigests> {
    const thread = this.#threads.find(({ waiting }) => waiting < batchesAhead)
    return thread === undefined ? this.#own.read(batch) : thread.run(batch.shared)
  }

  /** Reads a batch here and now. */
  readHere(batch: FileBatch): BatchDigests {
    return this.#own.read(batch)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map(async thread => thread[Symbol.asyncDispose]()))
  }
}
