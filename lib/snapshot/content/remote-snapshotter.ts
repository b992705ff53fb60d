import { CairnError, SnapshotExistsError } from '../../errors.js'
import type { LocalSnapshotter } from '../local-snapshotter.js'
import type { Labels, Mount, SnapshotInfo, Usage } from '../snapshot.js'
import { noSnapshot, parseSnapshotKey, type SnapshotKey } from '../snapshot-key.js'
import type {
  CallOptions,
  CommitOptions,
  PrepareOptions,
  Snapshotter,
  UpdateOptions,
} from '../snapshotter.js'
import type { HeldLayers } from './held-layers.js'
import { LayerKeeper } from './layer-keeper.js'
import { loadSnapshot } from './load-snapshot.js'
import { referenceLabel } from './save-snapshot.js'

/** Is told what went wrong with a layer that was to be stored, or loaded. */
export type LayerProblemObserver = (layer: string, error: unknown) => void

/**
 * A snapshotter that spares containerd the download of layers that are here.
 *
 * Who prepares a layer and says which one by the label `containerd.io/snapshot.ref` is
 * answered SnapshotExistsError when a committed snapshot with this label and parent is
 * there, or could be made of what a repository holds; the key is free then. Committed
 * layers of this label are stored in the repository, after the answer.
 */
export class RemoteSnapshotter implements Snapshotter {
  readonly #local: LocalSnapshotter
  readonly #layers: HeldLayers
  readonly #keeper: LayerKeeper
  readonly #onProblem: LayerProblemObserver

  private constructor(
    local: LocalSnapshotter,
    layers: HeldLayers,
    onProblem: LayerProblemObserver,
  ) {
    this.#local = local
    this.#layers = layers
    this.#onProblem = onProblem
    this.#keeper = new LayerKeeper(local, layers, onProblem)
  }

  /** Takes the snapshotter over: closing this one closes it. */
  static async start(
    local: LocalSnapshotter,
    layers: HeldLayers,
    onProblem: LayerProblemObserver,
  ): Promise<RemoteSnapshotter> {
    const snapshotter = new RemoteSnapshotter(local, layers, onProblem)
    await snapshotter.#keeper.start()
    return snapshotter
  }

  async prepare(
    key: SnapshotKey,
    options: PrepareOptions = {},
  ): Promise<readonly Mount[]> {
    const reference = options.labels?.get(referenceLabel)
    if (reference !== undefined && (await this.#provide(reference, options))) {
      throw new SnapshotExistsError(`the layer ${reference} is there already`, {
        reference,
      })
    }
    return this.#local.prepare(key, options)
  }

  async commit(
    name: SnapshotKey,
    key: SnapshotKey,
    options: CommitOptions = {},
  ): Promise<void> {
    await this.#local.commit(name, key, options)
    if (options.labels?.has(referenceLabel) === true) this.#keeper.add(name)
  }

  async stat(key: SnapshotKey): Promise<SnapshotInfo> {
    return this.#local.stat(key)
  }

  async update(
    key: SnapshotKey,
    labels: Labels,
    options?: UpdateOptions,
  ): Promise<SnapshotInfo> {
    return this.#local.update(key, labels, options)
  }

  async usage(key: SnapshotKey, options?: CallOptions): Promise<Usage> {
    return this.#local.usage(key, options)
  }

  async mounts(key: SnapshotKey): Promise<readonly Mount[]> {
    return this.#local.mounts(key)
  }

  async view(key: SnapshotKey, options?: PrepareOptions): Promise<readonly Mount[]> {
    return this.#local.view(key, options)
  }

  async remove(key: SnapshotKey, options?: CallOptions): Promise<void> {
    await this.#local.remove(key, options)
  }

  walk(
    filters?: readonly string[],
    options?: CallOptions,
  ): AsyncIterable<readonly SnapshotInfo[]> {
    return this.#local.walk(filters, options)
  }

  async cleanup(options?: CallOptions): Promise<void> {
    await this.#local.cleanup(options)
  }

  /** Waits until the repository holds every layer that was committed. */
  async settled(): Promise<void> {
    await this.#keeper.settled()
  }

  async close(): Promise<void> {
    await this.#keeper[Symbol.asyncDispose]()
    await this.#local.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #provide(
    reference: string,
    { parent = noSnapshot, labels = new Map(), signal }: PrepareOptions,
  ): Promise<boolean> {
    const isThere = (): boolean =>
      this.#local.findCommitted({ parent, label: [referenceLabel, reference] })
    if (isThere()) return true
    // A parent that is missing is refused like that of any other snapshot.
    if (parent !== noSnapshot) await this.#local.stat(parent)
    try {
      const application = await this.#layers.find(labels)
      if (application === undefined) return false
      const source = { reader: this.#layers.reader, application }
      await loadSnapshot(this.#local, parseSnapshotKey(reference), source, {
        parent,
        labels,
        ...(signal !== undefined && { signal }),
      })
      return true
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof CairnError)) throw error
      // Somebody else has just made it, or it has to be downloaded.
      if (isThere()) return true
      this.#onProblem(reference, error)
      return false
    }
  }
}
