import { join } from 'node:path'
import { InvalidArgumentError } from '../../errors.js'
import type { RepositoryConfig } from '../config.js'
import { checkUnchanged } from '../find-repository.js'
import { LayoutFiles } from '../migrate/layout-files.js'
import type { RegisteredSession } from '../session-registry.js'
import { clearStaleTemp } from '../stale-temp.js'
import { lockCollector } from './collector-lock.js'
import type { GcOptions, GcReport } from './gc-report.js'
import { LooseCollection } from './loose-collection.js'
import { type CollectedRooms, PackCollection } from './pack-collection.js'
import { Reserve } from './reserve.js'

/**
 * Removes what no root leads to; see Repository.gc.
 *
 * Throws LockBusyError while another collection runs for longer than the options wait,
 * InvalidTagFileError for a tag or a log that cannot be read, StorageFullError.
 */
export async function collectGarbage(
  rooms: CollectedRooms & { readonly config: RepositoryConfig },
  options: GcOptions = {},
): Promise<GcReport> {
  const { paths, sessions, config } = rooms
  const { action = 'collect' } = options
  const reserve = new Reserve(paths.root)
  using lock = await reserve.orFree(async () => lockCollector(paths.root, options))
  checkUnchanged(paths.root, config)
  if (action !== 'dry-run') {
    await new LayoutFiles(paths).clear(config.layout)
    await sessions.sweep()
    await clearStaleTemp(paths)
  }
  await using session = await reserve.orFree(async () => sessions.begin('gc', options))
  if (config.layout === 'loose') return await collectLoose(rooms, options, session)
  const packs = join(paths.root, 'packs')
  using collection = new PackCollection(rooms, options, { session, reserve, packs })
  switch (action) {
    case 'dry-run':
      await collection.rehearse()
      break
    case 'undo':
      await collection.undo()
      break
    case 'collect':
      await collection.collect()
      break
    default:
      action satisfies never
  }
  lock[Symbol.dispose]()
  return collection.ledger.report()
}

async function collectLoose(
  rooms: CollectedRooms,
  options: GcOptions,
  session: RegisteredSession,
): Promise<GcReport> {
  const { action = 'collect' } = options
  const collection = new LooseCollection(rooms, options, session)
  switch (action) {
    case 'dry-run':
      await collection.rehearse()
      break
    case 'undo':
      throw new InvalidArgumentError(
        'nothing to undo: a repository of the loose layout has no trash',
      )
    case 'collect':
      await collection.collect()
      break
    default:
      action satisfies never
  }
  return collection.ledger.report()
}
