import { chownSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { wallClock } from '../../system/clock.js'
import type { ContentSync } from '../layer/content-sync.js'
import type { LayerFolders } from '../layer/layer-folders.js'
import type { LayerThread } from '../layer/layer-thread.js'
import type { Mount, Usage } from '../snapshot.js'
import type { CallOptions } from '../snapshotter.js'
import { bindMount } from './bind-mount.js'
import { measureLayer } from './measure-layer.js'
import type { Layer, SnapshotDriver } from './snapshot-driver.js'

/**
 * Layers that are whole trees: a writable one starts as a copy of the one below, with
 * shared extents where the filesystem can. Works on any filesystem.
 */
export class NativeDriver implements SnapshotDriver {
  readonly name = 'native'
  readonly canRebase = false
  readonly #folders: LayerFolders
  readonly #threads: { readonly copies: LayerThread; readonly counts: LayerThread }
  readonly #sync: ContentSync

  constructor(
    folders: LayerFolders,
    threads: { readonly copies: LayerThread; readonly counts: LayerThread },
    sync: ContentSync,
  ) {
    this.#folders = folders
    this.#threads = threads
    this.#sync = sync
  }

  async create(layer: Layer, options?: CallOptions): Promise<void> {
    const { id, mapping } = layer
    if (!hasFolder(layer)) return
    this.#folders.make(id)
    const content = this.#folders.content(id)
    const [parent] = layer.parents
    if (parent !== undefined) await this.#copy(parent, id, options)
    if (mapping !== undefined) chownSync(content, mapping.uid, mapping.gid)
  }

  exists(layer: Layer): boolean {
    return !hasFolder(layer) || existsSync(this.#folders.content(layer.id))
  }

  startsEmpty({ parents }: Layer): boolean {
    return parents.length === 0
  }

  remove(id: string): void {
    this.#folders.discard(id)
  }

  mounts(layer: Layer): readonly Mount[] {
    const [parent = layer.id] = layer.readOnly ? layer.parents : []
    return [bindMount(this.#folders.content(parent), layer)]
  }

  async usage(id: string, options?: CallOptions): Promise<Usage> {
    return measureLayer(this.#threads.counts, this.#folders.content(id), options)
  }

  // A copy that is lost could not be told from a folder that somebody emptied.
  async #copy(parent: string, id: string, options: CallOptions | undefined) {
    const from = this.#folders.content(parent)
    const to = this.#folders.content(id)
    const scratch = join(this.#folders.folder(id), 'links')
    const started = wallClock()
    await this.#threads.copies.run({ kind: 'copy', from, to, scratch }, options)
    await this.#sync.sync(started)
  }
}

// A view of another shows it as it is.
function hasFolder({ readOnly, parents }: Layer): boolean {
  return !readOnly || parents.length === 0
}
