import { chownSync, existsSync, mkdirSync } from 'node:fs'
import { copyLayerRoot } from '../layer/copy-metadata.js'
import type { LayerFolders } from '../layer/layer-folders.js'
import type { LayerThread } from '../layer/layer-thread.js'
import type { Mount, Usage } from '../snapshot.js'
import type { CallOptions } from '../snapshotter.js'
import { bindMount } from './bind-mount.js'
import { measureLayer } from './measure-layer.js'
import type { Layer, SnapshotDriver } from './snapshot-driver.js'

/**
 * Layers that hold their own changes alone; the kernel's overlayfs puts them on top of
 * each other.
 */
export class OverlayDriver implements SnapshotDriver {
  readonly name = 'overlay'
  readonly canRebase = true
  readonly #folders: LayerFolders
  readonly #thread: LayerThread
  readonly #options: readonly string[]

  /** @param options - options that every overlay mount gets here */
  constructor(folders: LayerFolders, thread: LayerThread, options: readonly string[]) {
    this.#folders = folders
    this.#thread = thread
    this.#options = options
  }

  async create(layer: Layer): Promise<void> {
    const { id, readOnly, mapping } = layer
    if (!hasFolder(layer)) return
    this.#folders.make(id)
    const content = this.#folders.content(id)
    if (!readOnly) mkdirSync(this.#folders.work(id), { mode: 0o711 })
    const [parent] = layer.parents
    if (parent !== undefined) copyLayerRoot(this.#folders.content(parent), content)
    if (mapping !== undefined) chownSync(content, mapping.uid, mapping.gid)
  }

  exists(layer: Layer): boolean {
    const { id, readOnly } = layer
    if (!hasFolder(layer)) return true
    const needed = readOnly ? this.#folders.content(id) : this.#folders.work(id)
    return existsSync(needed)
  }

  startsEmpty(): boolean {
    return true
  }

  remove(id: string): void {
    this.#folders.discard(id)
  }

  mounts(layer: Layer): readonly Mount[] {
    const { id, readOnly, mapping } = layer
    const [parent, ...others] = layer.parents
    if (parent === undefined) return [bindMount(this.#folders.content(id), layer)]
    if (readOnly && others.length === 0) {
      return [bindMount(this.#folders.content(parent), layer)]
    }
    const upper = [
      `workdir=${this.#folders.work(id)}`,
      `upperdir=${this.#folders.content(id)}`,
    ]
    const lower = layer.parents.map(below => this.#folders.content(below)).join(':')
    const options = [
      ...(mapping?.options ?? []),
      ...this.#options,
      ...(readOnly ? [] : upper),
      `lowerdir=${lower}`,
    ]
    return [{ type: 'overlay', source: 'overlay', target: '', options }]
  }

  async usage(id: string, options?: CallOptions): Promise<Usage> {
    return measureLayer(this.#thread, this.#folders.content(id), options)
  }
}

// A view of others shows them as they are.
function hasFolder({ readOnly, parents }: Layer): boolean {
  return !readOnly || parents.length === 0
}
