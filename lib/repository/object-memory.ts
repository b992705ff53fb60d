import { type ObjectMemory, SeenObjects } from '../closure/seen-objects.js'
import type { ObjectStore } from '../store/object-store.js'
import type { PackStore } from '../store/pack/pack-store.js'
import type { StoreLayout } from './config.js'

/** Remembers what a walk through a repository's objects has met: in packs one bit each. */
export async function newObjectMemory({
  objects,
  config,
}: {
  readonly objects: ObjectStore
  readonly config: { readonly layout: StoreLayout }
}): Promise<ObjectMemory> {
  if (config.layout === 'loose') return new SeenObjects()
  const { ObjectMarks } = await import('./gc/object-marks.js')
  return new ObjectMarks((objects as PackStore).folder, 'read')
}
