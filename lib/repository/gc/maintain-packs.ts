import { join } from 'node:path'
import { LockBusyError } from '../../errors.js'
import type { ObjectStore } from '../../store/object-store.js'
import { multiName } from '../../store/pack/multi-index.js'
import {
  deservesMultiIndex,
  needsMultiIndex,
  writeMultiIndex,
} from '../../store/pack/multi-index-writer.js'
import { systemPackCalls } from '../../store/pack/pack-calls.js'
import type { PackFolder } from '../../store/pack/pack-folder.js'
import { PackStore } from '../../store/pack/pack-store.js'
import { removeIfThere } from '../durable-file.js'
import { lockCollector } from './collector-lock.js'
import { type MaintainedRooms, mergePacks, needsMerge } from './merge-packs.js'
import { packSizes } from './pack-sizes.js'
import { Reserve } from './reserve.js'

// Whoever stored something waits for no more than this. What was not done in time is done
// by a collector, or begun again by the next one to store.
const patienceMs = 20_000

/**
 * Keeps a repository quick to read and able to collect garbage: merges small packs where
 * there are many, indexes those that are left, and claims the reserve.
 *
 * Costs a look into the folder when there is nothing to do, and does nothing while a
 * collector, or another one of these, works.
 */
export async function maintainPacks(
  rooms: MaintainedRooms,
  objects: ObjectStore,
): Promise<void> {
  if (!(objects instanceof PackStore)) return
  const { folder } = objects
  folder.refresh()
  new Reserve(rooms.paths.root).ensure(packSizes(folder.path))
  if (!needsMerge(folder.path) && !needsMultiIndex(folder) && !isStale(folder)) return
  using lock = await findCollectorLock(rooms.paths.root)
  if (lock === undefined) return
  const signal = AbortSignal.timeout(patienceMs)
  await mergePacks(rooms, { signal })
  folder.refresh()
  if (needsMultiIndex(folder) || isStale(folder)) await index(rooms, folder, signal)
}

// Most of what the merged index says is about packs that are gone.
function isStale({ cover }: PackFolder): boolean {
  return cover.packs > 0 && 2 * cover.gone > cover.packs
}

async function index(
  { sessions }: MaintainedRooms,
  folder: PackFolder,
  signal: AbortSignal,
): Promise<void> {
  if (!deservesMultiIndex(folder)) {
    removeIfThere(join(folder.path, multiName), systemPackCalls)
    return
  }
  await using session = await sessions.begin('gc')
  await writeMultiIndex(folder, { temp: session.folder, calls: systemPackCalls, signal })
}

async function findCollectorLock(root: string): Promise<Disposable | undefined> {
  try {
    return await lockCollector(root, { wait: 0 })
  } catch (error) {
    if (error instanceof LockBusyError) return undefined
    throw error
  }
}
