import { randomUUID } from 'node:crypto'
import type { Mount } from '../snapshot.js'
import { noSnapshot, parseSnapshotKey, type SnapshotKey } from '../snapshot-key.js'
import type { CallOptions, Snapshotter } from '../snapshotter.js'
import type { LoadOptions, ShownSnapshot, SnapshotContents } from './snapshot-contents.js'

/**
 * Reads and makes the snapshots of any snapshotter by the calls of the contract, with
 * snapshots of its own that it removes again; one that is killed leaves such a one behind.
 * Nothing is shared.
 */
export class ContentsByCalls implements SnapshotContents {
  readonly #snapshotter: Snapshotter

  constructor(snapshotter: Snapshotter) {
    this.#snapshotter = snapshotter
  }

  async show(key: SnapshotKey, options: CallOptions = {}): Promise<ShownSnapshot> {
    const info = await this.#snapshotter.stat(key, options)
    const views: SnapshotKey[] = []
    const removeViews = async (): Promise<void> => {
      for (const view of views.splice(0)) await this.#snapshotter.remove(view)
    }
    const view = async (parent: SnapshotKey): Promise<readonly Mount[]> => {
      const made = temporaryKey('save')
      const mounts = await this.#snapshotter.view(made, { ...options, parent })
      views.push(made)
      return mounts
    }
    try {
      return {
        info,
        mounts:
          info.kind === 'committed'
            ? await view(key)
            : await this.#snapshotter.mounts(key, options),
        below: info.parent === noSnapshot ? undefined : await view(info.parent),
        ensureThere: async () => {
          await this.#snapshotter.stat(key, options)
        },
        [Symbol.asyncDispose]: removeViews,
      }
    } catch (error) {
      await removeViews()
      throw error
    }
  }

  async load(
    name: SnapshotKey,
    { fill, labels, parent, signal }: LoadOptions,
  ): Promise<{ readonly shared: boolean }> {
    const key = temporaryKey('load')
    const options = signal === undefined ? {} : { signal }
    const placed = parent === undefined ? options : { ...options, parent }
    const mounts = await this.#snapshotter.prepare(key, placed)
    try {
      await fill(mounts)
      await this.#snapshotter.commit(name, key, {
        ...options,
        ...(labels !== undefined && { labels }),
      })
    } catch (error) {
      await this.#snapshotter.remove(key)
      throw error
    }
    return { shared: false }
  }
}

function temporaryKey(purpose: string): SnapshotKey {
  return parseSnapshotKey(`cairn-${purpose}-${randomUUID()}`)
}
