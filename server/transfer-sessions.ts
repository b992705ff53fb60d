import { BusyError } from '../lib/errors.js'

/** What an upgraded connection is for. */
export type TransferKind = 'pull' | 'push'

/** A place for one upgraded connection; disposing gives it back. */
export type TransferSession = Disposable & {
  /** Aborts when the server wants the connection closed. */
  readonly signal: AbortSignal
}

/** How many there may be. */
export type TransferMaxima = { readonly transfers: number; readonly uploads: number }

/** The upgraded connections of a server: bounded in number, and ended together. */
export class TransferSessions {
  readonly #running = new Map<AbortController, TransferKind>()
  #uploads = 0
  #whenIdle: (() => void) | undefined

  /** How many run, and how many of them are pushes. */
  get count(): { readonly transfers: number; readonly uploads: number } {
    return { transfers: this.#running.size, uploads: this.#uploads }
  }

  /** Takes a place; throws BusyError when all are taken. */
  begin(kind: TransferKind, { transfers, uploads }: TransferMaxima): TransferSession {
    const isUpload = kind === 'push'
    if (this.#running.size >= transfers) throw busy('transfers', transfers)
    if (isUpload && this.#uploads >= uploads) throw busy('pushes', uploads)
    const controller = new AbortController()
    this.#running.set(controller, kind)
    if (isUpload) this.#uploads += 1
    const end = (): void => {
      if (!this.#running.delete(controller)) return
      if (isUpload) this.#uploads -= 1
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
    for (const controller of this.#running.keys()) controller.abort(reason)
  }
}

function busy(what: string, limit: number): BusyError {
  return new BusyError(`too many ${what}: expected at most ${limit} at a time`, { limit })
}
