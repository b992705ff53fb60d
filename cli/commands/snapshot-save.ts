import { parseTagName, type TagName } from '../../lib/object/tag-name.js'
import type { SavedSnapshot } from '../../lib/snapshot/content/save-snapshot.js'
import { StatCache } from '../../lib/tree/source/stat-cache/stat-cache.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import { describeLeftOut, leftOutMembers } from '../left-out.js'
import { type SnapshotFlags, withContents } from '../open-snapshotter.js'
import { parseKeyArgument } from '../snapshot-document.js'
import { saveStatCache } from '../stat-cache.js'
import { counted, formatBytes } from '../text.js'

export type SaveFlags = SnapshotFlags & {
  readonly tag: string
  readonly mtime?: boolean
  readonly diff?: boolean
}

/** `cairn snapshot save KEY -t TAG` */
export async function snapshotSave(
  context: CommandContext,
  key: string,
  flags: SaveFlags,
): Promise<void> {
  // A wrong name must not be found after a long walk.
  const tag = parseTagName(flags.tag)
  const { output } = context
  const saved = await save(context, key, { ...flags, tag })
  for (const leftOut of saved.leftOut) {
    output.warn(`left out ${describeLeftOut(leftOut, output.mode)}`)
  }
  const { descriptor, entries, files, bytes } = saved
  output.note(
    `stored ${counted(entries, 'entry', 'entries')}, ${counted(files, 'file')} ` +
      `of ${formatBytes(bytes)}; ${tag} names it`,
  )
  await output.result(
    {
      ...objectMembers(descriptor),
      tag,
      key,
      content: flags.diff === true ? 'changes' : 'tree',
      entries,
      files,
      bytes,
      leftOut: leftOutMembers(saved.leftOut),
    },
    `${descriptor.digest}\n`,
  )
}

async function save(
  context: CommandContext,
  key: string,
  flags: Omit<SaveFlags, 'tag'> & { readonly tag: TagName },
): Promise<SavedSnapshot> {
  const { saveSnapshot } = await import('../../lib/snapshot/content/save-snapshot.js')
  const repository = await context.repository()
  return withContents(context, flags, async contents => {
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'gradual',
    })
    using cache = new StatCache({
      folder: repository.cacheFolder,
      temp: session.folder,
      algorithm: repository.config.algorithm,
    })
    using progress = context.output.progress(`storing ${key}`, 'entry')
    const saved = await saveSnapshot(contents, parseKeyArgument(key), session.objects, {
      content: flags.diff === true ? 'changes' : 'tree',
      mtimes: flags.mtime ?? false,
      scratch: session.folder,
      cache,
      onProgress: ({ entries, bytes }) => progress.update({ objects: entries, bytes }),
      signal: context.signal,
    })
    await session.objects.publish([saved.descriptor.digest])
    await repository.tags.set(flags.tag, saved.descriptor, {
      who: context.who(),
      message: `snapshot save ${key}`,
    })
    if (flags.diff !== true) saveStatCache(cache, context)
    return saved
  })
}
