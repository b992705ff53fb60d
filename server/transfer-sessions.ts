/** A place for one upgraded connection; disposing gives it back. */
export type TransferSession = Disposable & {
  /** Aborts when the server wants the connection closed. */
  readonly signal: AbortSignal
}

/** The upgraded connections of a server: bounded in number, and ended together. */
export class TransferSessions {
  readonly #maximum: number
  readonly #running = new Set<AbortController>()
  #whenIdle: (() => void) | undefined

  constructor(maximum: number) {
    this.#maximum = maximum
  }

  get count(): number {
    return this.#running.size
  }

  /** Takes a place; undefined when all are taken. */
  begin(): TransferSession | undefined {
    if (this.#running.size >= this.#maximum) return undefined
    const controller = new AbortController()
    this.#running.add(controller)
    const end = (): void => {
      this.#running.delete(controller)
      if (this.#running.size === 0) this.#whenIdle?.()
    }
    return { signal: controller.signal, [Symbol.dispose]: end }
  }

  /** Returns when none is left. */
  async idle(): Promise<void> {
    if (this.#running.size === 0) return
    await new Promise<void>(resolve => {
      this.#whenIdle = resolve
    })
  }

  /** Aborts all that are left. */
  abort(reason: Error): void {
    for (const controller of this.#running) controller.abort(reason)
  }
}
