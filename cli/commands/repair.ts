import { realpathSync } from 'node:fs'
import { errorCodes } from '../../lib/error-codes.js'
import { InvalidArgumentError, RemoteNotFoundError } from '../../lib/errors.js'
import { isRepository } from '../../lib/repository/find-repository.js'
import { openRepository } from '../../lib/repository/open.js'
import { RemoteBook } from '../../lib/repository/remote-book.js'
import { parseRemoteUrl } from '../../lib/repository/remote-url.js'
import type { HealingSource } from '../../lib/repository/repair/healing-source.js'
import type { RepairReport } from '../../lib/repository/repair/repair-report.js'
import { repairRepository } from '../../lib/repository/repair/repair-repository.js'
import { RepositorySource } from '../../lib/repository/repair/repository-source.js'
import { repositoryPaths } from '../../lib/repository/repository-paths.js'
import { systemFileCalls } from '../../lib/system/file-calls.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import { counted, printable } from '../text.js'

export type RepairFlags = {
  readonly from?: readonly string[]
  readonly fromTree?: readonly string[]
}

/** `cairn repair` */
export async function repair(context: CommandContext, flags: RepairFlags): Promise<void> {
  const sources = await openSources(context, flags)
  const report = await run(context, sources)
  for (const { where, message } of report.problems) {
    context.output.warn(`${where}: ${message}`)
  }
  await context.output.result(
    {
      quarantined: report.quarantined.map(item => ({ ...item })),
      rebuilt: report.rebuilt,
      healed: report.healed.map(object => ({ ...object })),
      unhealed: report.unhealed.map(({ missing, uses, ...finding }) => ({
        ...finding,
        missing: missing && objectMembers(missing),
        uses: uses.map(use => ({ ...use })),
      })),
      problems: report.problems.map(problem => ({ ...problem })),
    },
    textOf(report),
  )
  if (report.unhealed.some(({ severity }) => severity === 'error')) {
    context.finishWith(errorCodes.corrupt_object.exitCode)
  }
}

async function run(
  context: CommandContext,
  sources: readonly OpenSource[],
): Promise<RepairReport> {
  using progress = context.output.progress('checking')
  try {
    return await repairRepository(context.settings.repositoryFolder, {
      sources: sources.map(({ source }) => source),
      signal: context.signal,
      onProgress: looked => progress.update(looked),
    })
  } finally {
    for (const { held } of sources) await held?.[Symbol.asyncDispose]()
  }
}

type OpenSource = { readonly source: HealingSource; readonly held?: AsyncDisposable }

async function openSources(
  context: CommandContext,
  { from = [], fromTree = [] }: RepairFlags,
): Promise<OpenSource[]> {
  const sources: OpenSource[] = []
  try {
    for (const place of from) sources.push(await openSource(context, place))
  } catch (error) {
    for (const { held } of sources) await held?.[Symbol.asyncDispose]()
    throw error
  }
  if (fromTree.length > 0) {
    const { FolderSource } = await import('../../lib/remote/folder-source.js')
    for (const folder of fromTree) sources.push({ source: new FolderSource(folder) })
  }
  return sources
}

async function openSource(context: CommandContext, place: string): Promise<OpenSource> {
  const url = await findRemoteUrl(context, place)
  if (url === undefined) return openFolder(context, place)
  const { openUrl } = await import('./transfer.js')
  const { RemoteSource } = await import('../../lib/remote/remote-source.js')
  const remote = await openUrl(context, url)
  return { source: new RemoteSource(remote), held: remote }
}

/** The URL of a remote; undefined for the path of a folder. */
async function findRemoteUrl(
  { settings }: CommandContext,
  place: string,
): Promise<URL | undefined> {
  if (/^https?:/.test(place)) return parseRemoteUrl(place)
  if (place.includes('/') || place === '.' || place === '..') return undefined
  // Not through the repository: it may be too damaged to be opened.
  const paths = repositoryPaths(settings.repositoryFolder)
  const remotes = await new RemoteBook(paths, systemFileCalls).list()
  const remote = remotes.find(({ name }) => name === place)
  if (remote !== undefined) return remote.url
  if (isRepository(place)) return undefined
  throw new RemoteNotFoundError(`no remote ${place}, and no repository at ./${place}`, {
    name: place,
  })
}

async function openFolder(
  { settings }: CommandContext,
  folder: string,
): Promise<OpenSource> {
  const repository = await openRepository(folder)
  if (repository.root === realpathSync(settings.repositoryFolder)) {
    repository[Symbol.dispose]()
    throw new InvalidArgumentError(`${folder} is the repository that is to be repaired`)
  }
  const source = new RepositorySource(repository.root, repository.objects)
  return {
    source,
    held: {
      async [Symbol.asyncDispose]() {
        repository[Symbol.dispose]()
      },
    },
  }
}

function textOf(report: RepairReport): string {
  const lines: string[] = []
  for (const { what, where, digest, kept } of report.quarantined) {
    lines.push(`put aside: ${what} ${digest ?? where}, kept as ${kept}`)
  }
  for (const path of report.rebuilt) lines.push(`made anew: ${path}`)
  for (const { type, digest, source } of report.healed) {
    lines.push(`healed: ${type} ${digest} from ${source}`)
  }
  for (const { severity, kind, where, message, uses } of report.unhealed) {
    lines.push(`not healed: ${severity}: ${kind} ${where}: ${message}`)
    for (const { kind: root, name, path } of uses) {
      lines.push(`  needed by ${root} ${name}${path === '' ? '' : `: ${path}`}`)
    }
  }
  if (lines.length === 0) lines.push('nothing to repair')
  else lines.push(`${counted(report.healed.length, 'object')} healed`)
  return lines.map(line => `${printable(line)}\n`).join('')
}
