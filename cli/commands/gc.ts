import { InvalidArgumentError } from '../../lib/errors.js'
import type { Digest } from '../../lib/object/digest.js'
import { parseTagName } from '../../lib/object/tag-name.js'
import type { GcReport, ObjectTally } from '../../lib/repository/gc/gc-report.js'
import type { Repository } from '../../lib/repository/repository.js'
import { type Root, rootDigest } from '../../lib/repository/roots.js'
import type { CommandContext } from '../context.js'
import type { Row } from '../output.js'
import { parseInteger } from '../parse-number.js'
import { splitRefPath } from '../ref-path.js'
import { counted, formatBytes, printable } from '../text.js'

export type GcFlags = {
  readonly dryRun?: boolean
  readonly now?: boolean
  readonly undo?: boolean
  readonly grace?: string
  readonly window?: string
  readonly wait?: string
  readonly why?: string
  readonly whatIfRemoved?: string
}

const hour = 60 * 60 * 1000

/** `cairn gc` */
export async function gc(context: CommandContext, flags: GcFlags): Promise<void> {
  const jobs = [flags.dryRun, flags.undo, flags.why, flags.whatIfRemoved]
  if (jobs.filter(job => job !== undefined).length > 1 || (flags.undo && flags.now)) {
    throw new InvalidArgumentError(
      'expected at most one of --dry-run, --undo, --why and --what-if-removed',
    )
  }
  const repository = await context.repository()
  const window = milliseconds(flags.window, '--window', 24 * hour)
  const roots = window === undefined ? {} : { window }
  if (flags.why !== undefined) return why(context, repository, flags.why, roots)
  if (flags.whatIfRemoved !== undefined) {
    return whatIfRemoved(context, repository, flags.whatIfRemoved, roots)
  }
  const grace = flags.now === true ? 0 : milliseconds(flags.grace, '--grace', hour)
  const wait = milliseconds(flags.wait, '--wait', 1000)
  using progress = context.output.progress('collecting')
  const report = await repository.gc({
    ...roots,
    action: flags.undo ? 'undo' : flags.dryRun ? 'dry-run' : 'collect',
    ...(grace === undefined ? {} : { grace }),
    ...(wait === undefined ? {} : { wait }),
    signal: context.signal,
    onProgress: looked => progress.update(looked),
  })
  for (const { where, message } of report.problems) {
    context.output.warn(`${where}: ${message}`)
  }
  await context.output.result({ ...report }, textOf(report, flags))
}

async function why(
  context: CommandContext,
  repository: Repository,
  what: string,
  options: { readonly window?: number },
): Promise<void> {
  const { ref, path } = splitRefPath(what)
  const resolved = await repository.resolveRef(ref)
  const digest =
    path === undefined
      ? resolved.digest
      : await digestAt(repository, resolved.digest, path)
  const { keepersOf } = await import('../../lib/repository/gc/keepers.js')
  const keepers = keepersOf(repository, digest, { ...options, signal: context.signal })
  let count = 0
  const rows = async function* (): AsyncGenerator<Row, void> {
    for await (const root of keepers) {
      count += 1
      yield rowOf(root)
    }
  }
  await context.output.list('roots', rows(), () => ({ digest }))
  if (count === 0) context.output.note(`nothing keeps ${digest}`)
}

async function digestAt(
  repository: Repository,
  application: Digest,
  path: Buffer,
): Promise<Digest> {
  const { resolveTreePath } = await import('../../lib/tree/tree-path.js')
  const { entry } = await resolveTreePath(repository.objects, application, path)
  if (entry.kind === 'directory') return entry.directory.digest
  // What has no content has a header.
  return entry.kind === 'regular' ? entry.file.digest : entry.header.digest
}

function rowOf(root: Root): Row {
  const { kind } = root
  const digest = rootDigest(root)
  if (kind === 'mount') return { json: { kind, digest }, text: `mount ${digest}\n` }
  const { name } = root
  if (kind === 'tag')
    return { json: { kind, name, digest }, text: `tag ${printable(name)} ${digest}\n` }
  const { sequence } = root
  const text = `log of ${printable(name)}, change ${sequence}, ${digest}\n`
  return { json: { kind, name, sequence, digest }, text }
}

async function whatIfRemoved(
  context: CommandContext,
  repository: Repository,
  name: string,
  options: { readonly window?: number },
): Promise<void> {
  const tag = parseTagName(name)
  await repository.tags.get(tag)
  const { needsOf } = await import('../../lib/repository/gc/needs.js')
  const rest = (root: Root): boolean => root.kind === 'mount' || root.name !== tag
  const { alone, shared } = await needsOf(repository, {
    ...options,
    signal: context.signal,
    chooses: root => !rest(root),
    others: rest,
  })
  await context.output.result(
    { tag, frees: alone, keeps: shared },
    `${tag}, with its log: removing it would free ${tallyText(alone)}; ` +
      `${tallyText(shared)} would stay, others need them\n`,
  )
}

function textOf(report: GcReport, flags: GcFlags): string {
  const { reachable, garbage, trash, restored, freedBytes, waitingFor } = report
  if (flags.undo) return `brought back ${tallyText(restored)}\n`
  const verb = flags.dryRun ? 'would be garbage' : 'found to be garbage'
  const lines = [`in use: ${tallyText(reachable)}`, `${verb}: ${tallyText(garbage)}`]
  if (restored.objects > 0) lines.push(`brought back: ${tallyText(restored)}`)
  if (trash.objects > 0) lines.push(`put away: ${tallyText(trash)}`)
  if (!flags.dryRun) {
    lines.push(
      freedBytes >= 0
        ? `freed: ${formatBytes(freedBytes)}`
        : `taken for a while: ${formatBytes(-freedBytes)}`,
    )
  }
  if (waitingFor.length > 0) {
    const sessions = waitingFor.join(', ')
    lines.push(`not put away yet: sessions ${sessions} go on; run it again later`)
  }
  return lines.map(line => `${line}\n`).join('')
}

function tallyText({ objects, bytes }: ObjectTally): string {
  return `${counted(objects, 'object')}, ${formatBytes(bytes)}`
}

function milliseconds(
  text: string | undefined,
  flag: string,
  unit: number,
): number | undefined {
  if (text === undefined) return undefined
  const count = Number(parseInteger(text, flag))
  if (count >= 0) return count * unit
  throw new InvalidArgumentError(`invalid ${flag}: expected 0 or more, found ${text}`, {
    flag,
    found: text,
  })
}
