import type { OrdinalSet } from '../../store/pack/condemned-list.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import type { ObjectTally } from './gc-report.js'

/** Counts the objects of some sets, by pack, with the bytes that they take there. */
export function tallyOf(
  packs: readonly PackFile[],
  sets: ReadonlyMap<string, OrdinalSet>,
): ObjectTally {
  let objects = 0
  let bytes = 0
  for (const pack of packs) {
    const set = sets.get(pack.name)
    if (set === undefined || set.count === 0) continue
    objects += set.count
    let ordinal = 0
    for (const { storedSize } of pack.index.places()) {
      if (set.has(ordinal)) bytes += storedSize
      ordinal += 1
    }
  }
  return { objects, bytes }
}
