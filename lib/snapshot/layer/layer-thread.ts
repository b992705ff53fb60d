import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Usage } from '../snapshot.js'
import type { CallOptions } from '../snapshotter.js'
import type { LayerAnswer, LayerJob, LayerTask } from './layer-job.js'

type Waiting = {
  readonly cancel: () => void
  readonly resolve: (usage: Usage | undefined) => void
  readonly reject: (error: unknown) => void
}

// Milliseconds until a job that has been told to end is cut off.
const patience = 1000
const pause = 2

/**
 * One thread that works off jobs in turn. It starts with the first job, and keeps the
 * process alive only while it has one.
 */
export class LayerThread implements AsyncDisposable {
  #worker: Worker | undefined
  readonly #waiting = new Map<number, Waiting>()
  #next = 0

  /** Throws the signal's reason when that ended the job. */
  async run(job: LayerJob, { signal }: CallOptions = {}): Promise<Usage | undefined> {
    signal?.throwIfAborted()
    const id = this.#next++
    const cancelled = new SharedArrayBuffer(4)
    const cancel = (): void => {
      Atomics.store(new Int32Array(cancelled), 0, 1)
    }
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      return await this.#post({ id, job, cancelled }, cancel)
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  /** Ends the thread; what it was at fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    // A thread that is ended in the middle of a job leaves its files open.
    for (const { cancel } of this.#waiting.values()) cancel()
    for (let left = patience; this.#waiting.size > 0 && left > 0; left -= pause) {
      await delay(pause)
    }
    const worker = this.#worker
    this.#worker = undefined
    // Its end is waited for, so it must be worth staying alive for.
    worker?.ref()
    await worker?.terminate()
    this.#fail(new Error('the snapshotter was closed'))
  }

  async #post(task: LayerTask, cancel: () => void): Promise<Usage | undefined> {
    const worker = (this.#worker ??= this.#start())
    return new Promise((resolve, reject) => {
      this.#waiting.set(task.id, { cancel, resolve, reject })
      worker.ref()
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
      worker.postMessage(task)
    })
  }

  #start(): Worker {
    const worker = new Worker(new URL('./layer-worker.js', import.meta.url), {
      // What the program was started with is for the program.
      execArgv: [],
    })
    worker.on('message', (answer: LayerAnswer) => this.#settle(worker, answer))
    worker.on('error', error => {
      this.#worker = undefined
      this.#fail(error)
    })
    return worker
  }

  #settle(worker: Worker, answer: LayerAnswer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if (this.#waiting.size === 0 && worker === this.#worker) worker.unref()
    if ('usage' in answer) waiting?.resolve(answer.usage)
    else waiting?.reject(withCode(answer.error, answer.code))
  }

  #fail(error: unknown): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(error)
  }
}

function withCode(error: unknown, code: string | undefined): unknown {
  return error instanceof Error && code !== undefined
    ? Object.assign(error, { code })
    : error
}
