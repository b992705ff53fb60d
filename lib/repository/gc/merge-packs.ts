import { join } from 'node:path'
import { systemPackCalls } from '../../store/pack/pack-calls.js'
import type { PackFolder } from '../../store/pack/pack-folder.js'
import { removePacks, rewritePacks } from '../../store/pack/pack-maintenance.js'
import { PackStore } from '../../store/pack/pack-store.js'
import { withLock } from '../lock.js'
import type { RepositoryPaths } from '../repository-paths.js'
import type { SessionRegistry } from '../session-registry.js'
import { packSizes, type SizedPack } from './pack-sizes.js'

// Above so many packs that are not large, some are merged.
const manyPacks = 16

// Merging is no work for a store or a pull to wait for: so much of it at a time.
const mergeBytes = 256 * 1024 * 1024

// A pack of this size is left alone: copying it again would cost more than opening it.
const largeFrom = mergeBytes / 2

// A pack joins a merge while it is no larger than this many times those before it.
const growth = 2

/** A repository whose packs are looked after. */
export type MaintainedRooms = {
  readonly paths: RepositoryPaths
  readonly sessions: SessionRegistry
}

/** Whether there are so many small packs that some should be merged. */
export function needsMerge(packs: string): boolean {
  return smallPacks(packs).length > manyPacks
}

/**
 * Merges small packs into one if there are many; tells how many went. The caller holds the
 * collector's lock.
 *
 * Each byte is copied some log(packs) times in its life, for a pack only joins others of
 * its size. Throws what writing throws; then every pack is still there.
 */
export async function mergePacks(
  { paths, sessions }: MaintainedRooms,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<number> {
  const packs = join(paths.root, 'packs')
  if (!needsMerge(packs)) return 0
  using store = new PackStore(packs, { purpose: 'collect' })
  store.refresh()
  const chosen = new Set(choosePacks(smallPacks(packs), store.folder))
  const small = store.folder.packs.filter(({ name }) => chosen.has(name))
  if (small.length < 2) return 0
  await using session = await sessions.begin('gc')
  const { done } = await rewritePacks(
    small.map(pack => ({ pack, isLive: () => true })),
    {
      calls: systemPackCalls,
      zstd: async () => store.codec(),
      temp: session.folder,
      packs,
      signal,
    },
  )
  const names = done.map(({ pack }) => pack.name)
  await withLock(paths, { mode: 'exclusive', wait: 10_000 }, async () =>
    removePacks(names, { calls: systemPackCalls, packs }),
  )
  return names.length
}

function smallPacks(folder: string): SizedPack[] {
  return [...packSizes(folder)].filter(({ bytes }) => bytes < largeFrom)
}

/** The smallest packs, as many as are of a size, none of which is on its way out. */
function choosePacks(
  packs: readonly SizedPack[],
  { condemned }: PackFolder,
): readonly string[] {
  const free = packs
    .filter(({ name }) => !condemned.touches(name, 'store'))
    .toSorted((one, other) => one.bytes - other.bytes)
  const chosen: string[] = []
  let bytes = 0
  for (const pack of free) {
    const isOfSize = chosen.length < manyPacks / 2 || pack.bytes <= growth * bytes
    if (!isOfSize || bytes + pack.bytes > mergeBytes) break
    chosen.push(pack.name)
    bytes += pack.bytes
  }
  return chosen
}
