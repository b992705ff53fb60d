import { parseTagName, type TagName } from '../../lib/object/tag-name.js'
import { StatCache } from '../../lib/tree/source/stat-cache/stat-cache.js'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import type { StoredTree } from '../../lib/tree/source/store-options.js'
import { readApplicationConfig } from '../application-config.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import { refuseOwnRepository } from '../source-apart.js'
import { saveStatCache } from '../stat-cache.js'
import { counted, formatBytes } from '../text.js'

export type StoreFlags = {
  readonly tag?: string
  readonly mtime?: boolean
  readonly v1?: boolean
  /** False with `--no-cache`. */
  readonly cache: boolean
  readonly label?: readonly string[]
  readonly config?: string
}

/** `cairn store PATH` */
export async function store(
  context: CommandContext,
  path: string,
  flags: StoreFlags,
): Promise<void> {
  // A wrong name must not be found after a long walk.
  const tag = flags.tag === undefined ? undefined : parseTagName(flags.tag)
  const { descriptor, stats } = await storeTree(context, path, { ...flags, tag })
  for (const what of stats.leftOut) {
    context.output.warn(`left out ${what}: this platform's native part is missing`)
  }
  context.output.note(
    `stored ${counted(stats.entries, 'entry', 'entries')}, ` +
      `${counted(stats.files, 'file')} of ${formatBytes(stats.bytes)}` +
      (tag === undefined ? '' : `; ${tag} names it`),
  )
  const { entries, files, bytes, leftOut } = stats
  await context.output.result(
    {
      ...objectMembers(descriptor),
      tag: tag ?? null,
      entries,
      files,
      bytes,
      leftOut,
    },
    `${descriptor.digest}\n`,
  )
}

async function storeTree(
  context: CommandContext,
  path: string,
  flags: Omit<StoreFlags, 'tag'> & { readonly tag: TagName | undefined },
): Promise<StoredTree> {
  const config = await readApplicationConfig(flags)
  const repository = await context.repository()
  refuseOwnRepository(path, repository.root)
  await using session = await repository.begin({
    purpose: 'store',
    publishing: 'gradual',
  })
  using cache = flags.cache
    ? new StatCache({
        folder: repository.cacheFolder,
        temp: session.folder,
        algorithm: repository.config.algorithm,
      })
    : undefined
  using progress = context.output.progress(`storing ${path}`, 'entry')
  const stored = await storeApplication(path, session.objects, {
    version1: flags.v1 ?? false,
    mtimes: flags.mtime ?? false,
    ...(config !== undefined && { config }),
    ...(cache !== undefined && { cache }),
    onProgress: ({ entries, bytes }) => progress.update({ objects: entries, bytes }),
    signal: context.signal,
  })
  await session.objects.publish([stored.descriptor.digest])
  if (flags.tag !== undefined) {
    await repository.tags.set(flags.tag, stored.descriptor, {
      who: context.who(),
      message: `store ${path}`,
    })
  }
  if (cache !== undefined) saveStatCache(cache, context)
  return stored
}
