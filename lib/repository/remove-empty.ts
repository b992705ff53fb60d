import { randomBytes } from 'node:crypto'
import { readdirSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type LockOptions, withLock } from './lock.js'
import type { Repository } from './repository.js'
import type { RepositoryPaths } from './repository-paths.js'
import type { SessionRegistry } from './session-registry.js'
import { naming } from './system-failure.js'

// All that a repository has before something is put into it.
const ownNames = new Set([
  'cache',
  'config',
  'gate',
  'gc.lock',
  'logs',
  'objects',
  'packs',
  'refs',
  'reserve',
  'sessions',
  'temp',
])

/**
 * Removes a repository that holds nothing and that no session uses; false when it holds
 * something, or is in use.
 *
 * It goes at once, by one rename; a crash after that leaves a hidden folder beside it.
 */
export async function removeEmptyRepository(
  repository: Pick<Repository, 'objects' | 'tags' | 'mounts'>,
  rooms: { readonly paths: RepositoryPaths; readonly sessions: SessionRegistry },
  options: LockOptions = {},
): Promise<boolean> {
  const { paths, sessions } = rooms
  const { root } = paths
  const aside = join(
    dirname(root),
    `.${basename(root)}.${randomBytes(8).toString('hex')}`,
  )
  return naming('remove', root, async () => {
    await sessions.sweep()
    const isGone = await sessions.pause(async () => {
      if (sessions.list().length > 0) return false
      return withLock(paths, { ...options, mode: 'exclusive' }, async () => {
        if (!(await isEmpty(root, repository))) return false
        renameSync(root, aside)
        return true
      })
    }, options)
    if (isGone) await rm(aside, { recursive: true, force: true })
    return isGone
  })
}

async function isEmpty(
  root: string,
  { objects, tags, mounts }: Pick<Repository, 'objects' | 'tags' | 'mounts'>,
): Promise<boolean> {
  if (readdirSync(root).some(name => !ownNames.has(name))) return false
  const named = [tags.names(), tags.listLogs(), mounts.list()]
  if ((await Promise.all(named)).some(({ length }) => length > 0)) return false
  for await (const batch of objects.list()) if (batch.length > 0) return false
  return true
}
