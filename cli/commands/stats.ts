import type { Digest } from '../../lib/object/digest.js'
import { escapeBytes } from '../../lib/object/escape.js'
import type { Repository } from '../../lib/repository/repository.js'
import { rootDigest } from '../../lib/repository/roots.js'
import { NumberTable, numberObjects } from '../../lib/repository/usage/object-numbers.js'
import {
  type RepositoryStats,
  repositoryStats,
} from '../../lib/repository/usage/repository-stats.js'
import { type UsageTally, VisitMemory } from '../../lib/repository/usage/tree-usage.js'
import { findFilePaths } from '../../lib/tree/find-paths.js'
import type { CommandContext } from '../context.js'
import { parseInteger } from '../parse-number.js'
import { counted, formatBytes, formatTable, printable } from '../text.js'

export type StatsFlags = { readonly largest: string }

/** `cairn stats` */
export async function stats(context: CommandContext, flags: StatsFlags): Promise<void> {
  const { signal } = context
  const most = Number(parseInteger(flags.largest, '--largest'))
  const repository = await context.repository()
  using progress = context.output.progress('counting')
  const found = await repositoryStats(repository, {
    largest: Math.min(Math.max(most, 0), 10_000),
    onProgress: done => progress.update(done),
    signal,
  })
  const paths = await namesOf(context, repository, found)
  // A bar must not stand where the result goes.
  progress[Symbol.dispose]()
  const largest = found.largest.map(({ digest, size, storedBytes }) => {
    return { digest, size, storedBytes, path: paths.get(digest) ?? null }
  })
  const { reachable, logicalBytes } = found
  const ratios = {
    dedupRatio: ratio(Number(logicalBytes), reachable.bytes),
    compressionRatio: ratio(reachable.bytes, reachable.storedBytes),
  }
  const { layout, compression, algorithm } = repository.config
  await context.output.result(
    {
      repository: repository.root,
      layout,
      compression,
      algorithm: algorithm.name,
      ...found,
      ...ratios,
      largest,
    },
    textOf(repository, found, ratios) +
      formatTable(
        largest.map(({ size, path, digest }) => [
          '  ',
          formatBytes(size),
          printable(path ?? digest),
        ]),
      ),
  )
}

/** Where each of the largest files lies: REF:PATH. */
async function namesOf(
  { signal }: CommandContext,
  repository: Repository,
  { largest }: RepositoryStats,
): Promise<ReadonlyMap<Digest, string>> {
  using numbers = numberObjects(repository)
  const memory = new VisitMemory(new NumberTable(numbers.limit), numbers, 1)
  const wanted = new Set(largest.map(({ digest }) => digest))
  const paths = new Map<Digest, string>()
  for await (const root of repository.roots()) {
    if (wanted.size === 0) break
    const application = rootDigest(root)
    const [info] = await repository.objects.stat([application])
    if (info === undefined) continue
    const ref = root.kind === 'tag' ? root.name : application
    const found = findFilePaths(repository.objects, application, wanted, {
      memory,
      signal,
    })
    for await (const { digest, path } of found) {
      paths.set(digest, `${ref}:${escapeBytes(path)}`)
    }
  }
  return paths
}

function ratio(one: number, other: number): number | null {
  return other === 0 ? null : Math.round((1000 * one) / other) / 1000
}

function textOf(
  { config }: Repository,
  { trees, logicalBytes, reachable, garbage, types, packs, diskBytes }: RepositoryStats,
  { dedupRatio, compressionRatio }: Record<string, number | null>,
): string {
  const { layout, compression, algorithm } = config
  const counts = formatTable([
    ['', 'objects', 'bytes', 'stored'],
    ...Object.entries(types).map(([name, tally]) => row(name, tally)),
    row('in use', reachable),
    row('garbage', garbage),
  ])
  const lines = [
    `${layout}, compression ${compression}, ${algorithm.name}; on disk ${formatBytes(diskBytes)}`,
    `${counted(trees, 'tree')} of ${formatBytes(logicalBytes)}, each reference counted`,
    `same content kept once: ${dedupRatio ?? 1} to 1; compression: ${compressionRatio ?? 1} to 1`,
    ...(layout === 'pack'
      ? [
          `${counted(packs.count, 'pack')} of ${formatBytes(packs.bytes)}, ` +
            `${counted(packs.compressedObjects, 'object')} compressed`,
        ]
      : []),
  ]
  return `${lines.join('\n')}\n${counts}largest files:\n`
}

function row(name: string, { objects, bytes, storedBytes }: UsageTally): string[] {
  return [name, String(objects), formatBytes(bytes), formatBytes(storedBytes)]
}
