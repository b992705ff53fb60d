import type { CallOptions } from '../snapshotter.js'
import type { LayerFolders } from './layer-folders.js'
import type { LayerThread } from './layer-thread.js'

/** Frees the room of layers that were taken away, in a thread, one at a time. */
export class LayerTrash {
  readonly #folders: LayerFolders
  readonly #thread: LayerThread
  #running: Promise<void> | undefined
  #closed = false

  constructor(folders: LayerFolders, thread: LayerThread) {
    this.#folders = folders
    this.#thread = thread
  }

  /** Begins to free what there is. What fails is tried again with the next call. */
  start(): void {
    if (this.#closed) return
    // Whoever empties the trash and waits for it sees the failure.
    void this.#begin().catch(() => undefined)
  }

  /** Frees all that was taken away before this call; throws the first failure. */
  async empty({ signal }: CallOptions = {}): Promise<void> {
    await this.#running?.catch(() => undefined)
    signal?.throwIfAborted()
    await this.#begin()
  }

  /** Begins nothing any more. */
  close(): void {
    this.#closed = true
  }

  async #begin(): Promise<void> {
    this.#running ??= this.#removeAll().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #removeAll(): Promise<void> {
    const failures: unknown[] = []
    const tried = new Set<string>()
    let found = this.#folders.discarded()
    for (; found.length > 0; found = this.#folders.discarded()) {
      const paths = found.filter(path => !tried.has(path))
      if (paths.length === 0) break
      for (const path of paths) {
        if (this.#closed) return
        tried.add(path)
        await this.#remove(path, failures)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  async #remove(path: string, failures: unknown[]): Promise<void> {
    try {
      await this.#thread.run({ kind: 'remove', path })
    } catch (error) {
      failures.push(error)
    }
  }
}
