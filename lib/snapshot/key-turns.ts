import type { SnapshotKey } from './snapshot-key.js'

/** Lets calls that change the same keys go one after the other, in the order they came. */
export class KeyTurns {
  readonly #last = new Map<SnapshotKey, Promise<void>>()

  /** Runs an action when every earlier one that names one of these keys has ended. */
  async take<Result>(
    keys: readonly SnapshotKey[],
    action: () => Promise<Result>,
  ): Promise<Result> {
    const earlier = keys.flatMap(key => this.#last.get(key) ?? [])
    const running = Promise.all(earlier).then(action)
    const ended = running.then(
      () => undefined,
      () => undefined,
    )
    for (const key of keys) this.#last.set(key, ended)
    try {
      return await running
    } finally {
      for (const key of keys) {
        if (this.#last.get(key) === ended) this.#last.delete(key)
      }
    }
  }

  /** Waits for every action that was begun. */
  async end(): Promise<void> {
    await Promise.all(this.#last.values())
  }
}
