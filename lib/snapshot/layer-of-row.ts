import { findIdMapping } from './driver/id-mapping.js'
import type { Layer } from './driver/snapshot-driver.js'
import { layerIdOf, type SnapshotRow } from './metadata/snapshot-row.js'
import type { SnapshotTable } from './metadata/snapshot-table.js'

/** A snapshot as a driver needs to know it. */
export function layerOf(row: SnapshotRow, table: SnapshotTable): Layer {
  // The labels of a committed snapshot are for those who read them.
  const mapping = row.kind === 'committed' ? undefined : findIdMapping(row.labels)
  return {
    id: String(layerIdOf(row)),
    readOnly: row.kind === 'view',
    parents: table.ancestors(row).map(below => String(layerIdOf(below))),
    ...(mapping !== undefined && { mapping }),
  }
}
