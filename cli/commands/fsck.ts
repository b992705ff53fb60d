import { errorCodes } from '../../lib/error-codes.js'
import { InvalidArgumentError } from '../../lib/errors.js'
import type { Finding, Severity } from '../../lib/repository/check/finding.js'
import type { Repository } from '../../lib/repository/repository.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import type { Row } from '../output.js'
import { counted, formatBytes, printable } from '../text.js'

export type FsckFlags = { readonly quick?: boolean; readonly rebuildIndex?: boolean }

/** `cairn fsck [REF…]` */
export async function fsck(
  context: CommandContext,
  refs: readonly string[],
  flags: FsckFlags = {},
): Promise<void> {
  const repository = await context.repository()
  if (flags.rebuildIndex === true) {
    if (refs.length > 0 || flags.quick === true) {
      throw new InvalidArgumentError('--rebuild-index takes no REF and excludes --quick')
    }
    return rebuild(context, repository)
  }
  const counts: Record<Severity, number> = { error: 0, warning: 0, notice: 0 }
  const looked = { objects: 0, bytes: 0 }
  {
    using progress = context.output.progress('checking')
    const findings = repository.check({
      ...(refs.length > 0 ? { refs } : { objects: 'all' }),
      depth: flags.quick === true ? 'quick' : 'full',
      onProgress: ({ objects, bytes }) => {
        Object.assign(looked, { objects, bytes })
        progress.update(looked)
      },
      signal: context.signal,
    })
    await context.output.list('findings', rows(findings, counts), () => ({
      errors: counts.error,
      warnings: counts.warning,
      notices: counts.notice,
      ...looked,
    }))
  }
  context.output.note(
    `checked ${counted(looked.objects, 'object')}, ${formatBytes(looked.bytes)}: ` +
      `${counted(counts.error, 'error')}, ${counted(counts.warning, 'warning')}, ` +
      counted(counts.notice, 'notice'),
  )
  if (counts.error > 0) context.finishWith(errorCodes.corrupt_object.exitCode)
}

async function rebuild(context: CommandContext, repository: Repository): Promise<void> {
  const report = await repository.rebuildIndex({ signal: context.signal })
  for (const { where, message } of report.problems) {
    context.output.warn(`${where}: ${message}`)
  }
  const rebuilt = report.rebuilt.map(path => `trailer made anew: ${path}\n`).join('')
  const packs = counted(report.packs, 'pack')
  const text = `${rebuilt}index of ${packs}, ${counted(report.objects, 'object')}\n`
  await context.output.result({ ...report }, text)
  if (report.problems.length > 0) {
    context.finishWith(errorCodes.corrupt_object.exitCode)
  }
}

async function* rows(
  findings: AsyncIterable<Finding>,
  counts: Record<Severity, number>,
): AsyncGenerator<Row, void> {
  for await (const finding of findings) {
    const { severity, kind, where, message, expected, found, pack, missing } = finding
    counts[severity] += 1
    yield {
      text: `${printable(`${severity}: ${kind} ${where}: ${message}`)}\n`,
      json: {
        severity,
        kind,
        where,
        message,
        expected,
        found,
        pack,
        missing: missing && objectMembers(missing),
      },
    }
  }
}
