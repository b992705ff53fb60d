import { type ChildProcess, fork } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../log-entry.js'
import type { RepositoryShelf } from '../repository-shelf.js'
import type { CollectionAnswer, CollectionOrder } from './collection-child.js'
import type { CollectionOutcome } from './server-metrics.js'

/** When garbage is collected while serving. */
export type MaintenanceSchedule = {
  /** Milliseconds from the end of one round over all repositories to the next. */
  readonly everyMs: number
  /** As in GcOptions, milliseconds. */
  readonly graceMs?: number
  readonly windowMs?: number
}

type MaintenanceOptions = MaintenanceSchedule & {
  readonly shelf: RepositoryShelf
  readonly logger: Logger
  readonly onCollected: (outcome: CollectionOutcome) => void
}

const script = fileURLToPath(new URL('./collection-child.js', import.meta.url))

// Servers that were started together do not collect together.
const jitter = 0.1

/** Collects the garbage of all repositories in turn, in child processes of low priority. */
export class Maintenance implements AsyncDisposable {
  readonly #options: MaintenanceOptions
  #timer: NodeJS.Timeout | undefined
  #child: ChildProcess | undefined
  #round: Promise<void> = Promise.resolve()
  #isOver = false

  constructor(options: MaintenanceOptions) {
    this.#options = options
    this.#schedule()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    clearTimeout(this.#timer)
    // What it leaves is finished by the next run.
    this.#child?.kill('SIGTERM')
    await this.#round
  }

  #schedule(): void {
    if (this.#isOver) return
    const delay = this.#options.everyMs * (1 + jitter * Math.random())
    // A timer of Node takes 31 bits.
    const bounded = Math.min(delay, 2 ** 31 - 1)
    this.#timer = setTimeout(() => {
      this.#round = this.#collectAll().finally(() => this.#schedule())
    }, bounded)
    this.#timer.unref()
  }

  async #collectAll(): Promise<void> {
    const { shelf } = this.#options
    try {
      for await (const path of shelf.list()) {
        if (this.#isOver) return
        await this.#collect(`/${path.join('/')}`, join(shelf.root, ...path))
      }
    } catch (error) {
      this.#log('error', 'maintenance failed', { error: String(error) })
    }
  }

  async #collect(path: string, root: string): Promise<void> {
    const { graceMs, windowMs, onCollected } = this.#options
    const started = performance.now()
    const answer = await this.#run({
      root,
      ...(graceMs === undefined ? {} : { grace: graceMs }),
      ...(windowMs === undefined ? {} : { window: windowMs }),
    })
    const seconds = (performance.now() - started) / 1000
    const durationMs = Math.round(seconds * 1000)
    if (answer.kind === 'failed') {
      onCollected({ failed: true, freedBytes: 0, seconds })
      this.#log('error', 'collection failed', { path, durationMs, error: answer.message })
      return
    }
    const { freedBytes, garbage, problems } = answer.report
    onCollected({ failed: false, freedBytes, seconds })
    this.#log('info', 'collected', {
      path,
      durationMs,
      objects: garbage.objects,
      bytes: freedBytes,
    })
    for (const { where, message } of problems) {
      this.#log('warn', `collection: ${where}: ${message}`, { path })
    }
  }

  async #run(order: CollectionOrder): Promise<CollectionAnswer> {
    const child = fork(script, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
    this.#child = child
    return new Promise(resolve => {
      let answer: CollectionAnswer | undefined
      child.once('message', message => {
        answer = message as CollectionAnswer
      })
      child.once('error', error => {
        resolve({ kind: 'failed', message: error.message })
      })
      child.once('exit', (code, signal) => {
        const message = `the process ended early: ${signal ?? code}`
        resolve(answer ?? { kind: 'failed', message })
      })
      child.once('spawn', () => {
        if (child.pid !== undefined) lowerPriority(child.pid)
        child.send(order)
      })
    })
  }

  #log(
    level: 'info' | 'warn' | 'error',
    message: string,
    facts: Partial<Parameters<Logger>[0]>,
  ): void {
    this.#options.logger({ time: new Date().toISOString(), level, message, ...facts })
  }
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW)
  } catch {
    // It may have ended; and a collection at another priority is a collection too.
  }
}
