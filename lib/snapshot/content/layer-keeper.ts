import { SnapshotNotFoundError } from '../../errors.js'
import type { SnapshotKey } from '../snapshot-key.js'
import type { Snapshotter } from '../snapshotter.js'
import type { HeldLayers } from './held-layers.js'
import { referenceLabel } from './save-snapshot.js'
import type { SnapshotContents } from './snapshot-contents.js'

/** Stores committed layers in a repository, after they were answered, one at a time. */
export class LayerKeeper implements AsyncDisposable {
  readonly #snapshotter: Snapshotter & SnapshotContents
  readonly #layers: HeldLayers
  readonly #onProblem: (key: SnapshotKey, error: unknown) => void
  readonly #waiting = new Set<SnapshotKey>()
  readonly #ending = new AbortController()
  #running: Promise<void> | undefined

  /** @param onProblem - is told of layers that could not be stored */
  constructor(
    snapshotter: Snapshotter & SnapshotContents,
    layers: HeldLayers,
    onProblem: (key: SnapshotKey, error: unknown) => void,
  ) {
    this.#snapshotter = snapshotter
    this.#layers = layers
    this.#onProblem = onProblem
  }

  /** Begins with what is there: also what a crash kept from being stored. */
  async start(): Promise<void> {
    for await (const batch of this.#snapshotter.walk(['kind==committed'])) {
      for (const { name, labels } of batch) {
        if (labels.has(referenceLabel)) this.add(name)
      }
    }
  }

  /** Stores a committed snapshot soon. */
  add(key: SnapshotKey): void {
    this.#waiting.add(key)
    if (this.#ending.signal.aborted) return
    this.#running ??= this.#storeAll()
  }

  /** Waits until nothing is left to be stored. */
  async settled(): Promise<void> {
    await this.#running
  }

  /** Breaks off; what was not stored is stored after the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  async #storeAll(): Promise<void> {
    const { signal } = this.#ending
    for (const key of this.#waiting) {
      if (signal.aborted) break
      this.#waiting.delete(key)
      try {
        const { labels } = await this.#snapshotter.stat(key)
        await this.#layers.keep(this.#snapshotter, { key, labels }, { signal })
      } catch (error) {
        // One that was removed meanwhile is nobody's any more.
        const isGone = error instanceof SnapshotNotFoundError
        if (!isGone && !signal.aborted) this.#onProblem(key, error)
      }
    }
    // In the moment that the last one is done, so that none comes in between.
    this.#running = undefined
  }
}
