import { RateLimitedError } from '../../lib/errors.js'
import { JobThread } from '../../lib/system/thread/job-thread.js'
import type { PasswordQuestion } from './password-worker.js'

const maxWaiting = 32

/**
 * Compares passwords with bcrypt hashes in a thread of its own, since each takes long on
 * purpose. Only so many may wait: RateLimitedError for more.
 */
export class PasswordChecker implements AsyncDisposable {
  readonly #thread = new JobThread<PasswordQuestion, boolean>(
    new URL('./password-worker.js', import.meta.url),
    undefined,
  )

  /** How many are being compared, or wait for it. */
  get waiting(): number {
    return this.#thread.waiting
  }

  async fits(password: string, hash: string): Promise<boolean> {
    if (this.waiting >= maxWaiting) {
      throw new RateLimitedError('too many passwords are being checked', {
        limit: maxWaiting,
        retryAfterSeconds: 1,
      })
    }
    return this.#thread.run({ password, hash })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]()
  }
}
