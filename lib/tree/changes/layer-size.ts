import type { LayerChanges } from './layer-change.js'

/**
 * Content bytes of the files that are new or changed, each counted once whatever the
 * number of its names: what containers/storage calls the size of a difference.
 */
export async function layerSize(changes: LayerChanges): Promise<number> {
  const counted = new Set<string>()
  let bytes = 0
  for await (const change of changes) {
    if (change.kind === 'deleted' || change.kind === 'unchanged') continue
    const { kind, links, size } = change.node
    if (kind !== 'regular') continue
    if (links !== undefined) {
      if (counted.has(links)) continue
      counted.add(links)
    }
    bytes += size
  }
  return bytes
}
