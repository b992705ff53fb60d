/**
 * Work whose result many want at once: it runs once at a time, and all who come while it
 * runs share the run after it, since what began before they came may miss what they expect.
 */
export class SharedRun<Result> {
  readonly #work: () => Promise<Result>
  #running: Promise<Result> | undefined
  #next: Promise<Result> | undefined

  constructor(work: () => Promise<Result>) {
    this.#work = work
  }

  async get(): Promise<Result> {
    if (this.#next !== undefined) return this.#next
    if (this.#running === undefined) return this.#start()
    this.#next = this.#running.then(nothing, nothing).then(async () => {
      this.#next = undefined
      return this.#start()
    })
    return this.#next
  }

  async #start(): Promise<Result> {
    const running = this.#work()
    this.#running = running
    try {
      return await running
    } finally {
      if (this.#running === running) this.#running = undefined
    }
  }
}

async function nothing(): Promise<void> {}
