import { createReadStream } from 'node:fs'
import { InvalidArgumentError } from '../../lib/errors.js'
import { parseTagName, type TagName } from '../../lib/object/tag-name.js'
import { importTar, type TarImportReport } from '../../lib/tree/tar/import-tar.js'
import { readApplicationConfig } from '../application-config.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import { describeLeftOut, leftOutMembers } from '../left-out.js'
import { parseInteger } from '../parse-number.js'
import { counted, formatBytes } from '../text.js'

export type TarImportFlags = {
  readonly tag: string
  readonly mtime: boolean
  readonly label?: readonly string[]
  readonly config?: string
  readonly maxBytes?: string
  readonly maxEntries?: string
}

const chunkBytes = 1024 * 1024

/** `cairn tar import FILE -t TAG` */
export async function tarImport(
  context: CommandContext,
  file: string,
  flags: TarImportFlags,
): Promise<void> {
  // A wrong name must not be found after a long import.
  const tag = parseTagName(flags.tag)
  const { output } = context
  const report = await storeArchive(context, file, { ...flags, tag })
  for (const leftOut of report.leftOut) {
    output.warn(`left out ${describeLeftOut(leftOut, output.mode)}`)
  }
  const { descriptor, entries, files, bytes } = report
  output.note(
    `stored ${counted(entries, 'entry', 'entries')}, ${counted(files, 'file')} ` +
      `from ${formatBytes(bytes)}; ${tag} names it`,
  )
  await output.result(
    {
      ...objectMembers(descriptor),
      tag,
      entries,
      files,
      bytes,
      leftOut: leftOutMembers(report.leftOut),
    },
    `${descriptor.digest}\n`,
  )
}

async function storeArchive(
  context: CommandContext,
  file: string,
  flags: Omit<TarImportFlags, 'tag'> & { readonly tag: TagName },
): Promise<TarImportReport> {
  const { tag, mtime: mtimes } = flags
  const maxBytes = parseLimit(flags.maxBytes, '--max-bytes')
  const maxEntries = parseLimit(flags.maxEntries, '--max-entries')
  const config = await readApplicationConfig(flags)
  const repository = await context.repository()
  // Nothing of an archive is seen before all of it is known to be right.
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  using progress = context.output.progress(`importing ${file}`, 'entry')
  const archive = file === '-' ? process.stdin : createReadStream(file, readOptions)
  const report = await importTar(archive, session.objects, {
    mtimes,
    config,
    maxBytes,
    maxEntries,
    onProgress: ({ entries, bytes }) => progress.update({ objects: entries, bytes }),
    signal: context.signal,
  })
  await session.objects.publish([report.descriptor.digest])
  await repository.tags.set(tag, report.descriptor, {
    who: context.who(),
    message: `tar import ${file}`,
  })
  return report
}

const readOptions = { highWaterMark: chunkBytes } as const

function parseLimit(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined
  const limit = Number(parseInteger(text, flag))
  if (Number.isSafeInteger(limit) && limit > 0) return limit
  throw new InvalidArgumentError(`${flag}: expected a number above 0, found ${text}`, {
    flag,
    found: text,
  })
}
