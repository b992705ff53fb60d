import type { LayerThread } from '../layer/layer-thread.js'
import type { Usage } from '../snapshot.js'
import type { CallOptions } from '../snapshotter.js'

/** Counts in a thread what a folder takes on disk. */
export async function measureLayer(
  thread: LayerThread,
  folder: string,
  options?: CallOptions,
): Promise<Usage> {
  const usage = await thread.run({ kind: 'usage', folder }, options)
  if (usage === undefined) throw new Error('no usage of a folder')
  return usage
}
