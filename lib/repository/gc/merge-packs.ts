import { join } from 'node:path'
import { systemPackCalls } from '../../store/pack/pack-calls.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import { type PackFolder, packSuffix } from '../../store/pack/pack-folder.js'
import { removePacks, rewritePacks } from '../../store/pack/pack-maintenance.js'
import { PackStore } from '../../store/pack/pack-store.js'
import { readTextNames } from '../folder-names.js'
import { withLock } from '../lock.js'
import type { RepositoryPaths } from '../repository-paths.js'
import type { SessionRegistry } from '../session-registry.js'
import { lockCollector } from './collector-lock.js'

// Above so many packs, small ones are merged.
const manyPacks = 16

// Merging is no work for a store or a pull to wait for: so much of it at a time.
const mergeBytes = 256 * 1024 * 1024

// A pack joins a merge while it is no larger than this many times those before it.
const growth = 2

/**
 * Merges small packs into one if there are many; tells how many went.
 *
 * Each byte is copied some log(packs) times in its life, for a pack only joins others of
 * its size. Does nothing while a collector works. Throws what writing throws; then every
 * pack is still there.
 */
export async function mergePacks(rooms: {
  readonly paths: RepositoryPaths
  readonly sessions: SessionRegistry
}): Promise<number> {
  const { paths, sessions } = rooms
  const packs = join(paths.root, 'packs')
  if (!hasManyPacks(packs)) return 0
  using lock = await lockCollector(paths.root, { wait: 0 })
  using store = new PackStore(packs, { purpose: 'collect' })
  store.refresh()
  const small = choosePacks(store.folder)
  if (small.length < 2) return 0
  await using session = await sessions.begin('gc')
  const { done } = await rewritePacks(
    small.map(pack => ({ pack, isLive: () => true })),
    {
      calls: systemPackCalls,
      zstd: async () => store.codec(),
      temp: session.folder,
      packs,
    },
  )
  const names = done.map(({ pack }) => pack.name)
  await withLock(paths, { mode: 'exclusive', wait: 10_000 }, async () =>
    removePacks(names, { calls: systemPackCalls, packs }),
  )
  lock[Symbol.dispose]()
  return names.length
}

function hasManyPacks(folder: string): boolean {
  const names = readTextNames(folder).filter(name => name.endsWith(packSuffix))
  return names.length > manyPacks
}

/** The smallest packs, as many as are of a size, none of which is on its way out. */
function choosePacks(folder: PackFolder): readonly PackFile[] {
  const { condemned, packs } = folder
  if (packs.length <= manyPacks) return []
  const free = packs
    .filter(({ name }) => !condemned.touches(name, 'store'))
    .toSorted((one, other) => one.bytes - other.bytes)
  const chosen: PackFile[] = []
  let bytes = 0
  for (const pack of free) {
    const isOfSize = chosen.length < manyPacks / 2 || pack.bytes <= growth * bytes
    if (!isOfSize || bytes + pack.bytes > mergeBytes) break
    chosen.push(pack)
    bytes += pack.bytes
  }
  return chosen
}
