import { Worker } from 'node:worker_threads'
import { RateLimitedError } from '../../lib/errors.js'
import type { PasswordAnswer, PasswordQuestion } from './password-worker.js'

type Asked = {
  readonly resolve: (fits: boolean) => void
  readonly reject: (error: unknown) => void
}

const maxWaiting = 32

/**
 * Compares passwords with bcrypt hashes in a thread of its own, since each takes long on
 * purpose. Only so many may wait: RateLimitedError for more.
 */
export class PasswordChecker implements AsyncDisposable {
  #worker: Worker | undefined
  readonly #asked = new Map<number, Asked>()
  #last = 0

  /** How many are being compared, or wait for it. */
  get waiting(): number {
    return this.#asked.size
  }

  async fits(password: string, hash: string): Promise<boolean> {
    if (this.#asked.size >= maxWaiting) {
      throw new RateLimitedError('too many passwords are being checked', {
        limit: maxWaiting,
        retryAfterSeconds: 1,
      })
    }
    const worker = this.#start()
    this.#last += 1
    const id = this.#last
    const question: PasswordQuestion = { id, password, hash }
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject })
      worker.postMessage(question)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    this.#fail(new Error('the server is closing'))
    await worker?.terminate()
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(new URL('./password-worker.js', import.meta.url))
    this.#worker = worker
    worker.unref()
    worker.on('message', ({ id, fits }: PasswordAnswer) => {
      this.#asked.get(id)?.resolve(fits)
      this.#asked.delete(id)
    })
    worker.on('error', error => {
      if (this.#worker === worker) this.#worker = undefined
      this.#fail(error)
    })
    return worker
  }

  #fail(error: unknown): void {
    for (const { reject } of this.#asked.values()) reject(error)
    this.#asked.clear()
  }
}
