import { join } from 'node:path'
import { CorruptObjectError, InvalidObjectError } from '../../errors.js'
import { checkOrder } from '../../store/pack/index-check.js'
import { writeMultiIndex } from '../../store/pack/multi-index-writer.js'
import { type PackCalls, systemPackCalls } from '../../store/pack/pack-calls.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import { type PackFolder, packSuffix } from '../../store/pack/pack-folder.js'
import { rebuildTrailer } from '../../store/pack/pack-rebuild.js'
import { PackStore } from '../../store/pack/pack-store.js'
import { lockCollector } from '../gc/collector-lock.js'
import type { LockOptions } from '../lock.js'
import type { RepositoryPaths } from '../repository-paths.js'
import type { SessionRegistry } from '../session-registry.js'

/** What is needed of a repository that keeps its objects in packs. */
export type IndexedRooms = {
  readonly paths: RepositoryPaths
  readonly sessions: SessionRegistry
}

/** How an index is made anew. */
export type RebuildOptions = LockOptions & {
  /** Writes through these instead of the system's own. */
  readonly calls?: PackCalls
}

/** What was made anew. */
export type RebuildReport = {
  /** Packs that the merged index covers now. */
  readonly packs: number
  readonly objects: number
  /** Packs whose trailers were made anew from their segments. */
  readonly rebuilt: readonly string[]
  /** What could not be read: repair may help. */
  readonly problems: readonly { readonly where: string; readonly message: string }[]
}

/**
 * Makes the merged index of a repository's packs anew, and before it the trailers of packs
 * that have none that can be read; throws LockBusyError while a collector works.
 */
export async function rebuildIndex(
  { paths, sessions }: IndexedRooms,
  { calls = systemPackCalls, ...wait }: RebuildOptions = {},
): Promise<RebuildReport> {
  using lock = await lockCollector(paths.root, wait)
  await using session = await sessions.begin('repair', wait)
  using store = new PackStore(join(paths.root, 'packs'), { purpose: 'collect' })
  const { folder } = store
  const parts = { calls, temp: session.folder, signal: wait.signal }
  const { rebuilt, problems } = await rebuildTrailers(folder, parts)
  await writeMultiIndex(folder, parts)
  const report = {
    packs: folder.packs.length,
    objects: folder.packs.reduce((sum, pack) => sum + pack.index.count, 0),
    rebuilt,
    problems,
  }
  lock[Symbol.dispose]()
  return report
}

/** Makes anew the trailers that cannot be read, as far as the segments can. */
export async function rebuildTrailers(
  folder: PackFolder,
  parts: Parameters<typeof rebuildTrailer>[1],
): Promise<Pick<RebuildReport, 'rebuilt' | 'problems'>> {
  folder.refresh()
  const rebuilt: string[] = []
  const problems: { where: string; message: string }[] = []
  const bad = folder.packs.filter(pack => !hasGoodTrailer(pack)).map(({ path }) => path)
  const broken = [...folder.broken.keys()].filter(path => path.endsWith(packSuffix))
  for (const path of [...broken, ...bad]) {
    try {
      await rebuildTrailer(path, parts)
      rebuilt.push(path)
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error
      problems.push({ where: path, message: error.message })
    }
  }
  folder.refresh()
  return { rebuilt, problems }
}

function hasGoodTrailer(pack: PackFile): boolean {
  try {
    pack.checkTrailer()
    checkOrder(pack.index, pack.path, { repeats: false })
    return true
  } catch (error) {
    if (error instanceof InvalidObjectError || error instanceof CorruptObjectError) {
      return false
    }
    throw error
  }
}
