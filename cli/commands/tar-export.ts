import { InvalidArgumentError } from '../../lib/errors.js'
import { escapeBytes } from '../../lib/object/escape.js'
import { exportTar, type TarExportReport } from '../../lib/tree/tar/export-tar.js'
import type { WriteBytes } from '../../lib/tree/tar/tar-sink.js'
import { resolveApplication } from '../application-ref.js'
import type { CommandContext } from '../context.js'
import { describeLeftOut, leftOutMembers } from '../left-out.js'
import { OutputFile } from '../output-file.js'
import { parseInteger } from '../parse-number.js'
import { splitRefPath } from '../ref-path.js'
import { counted, formatBytes } from '../text.js'

export type TarExportFlags = { readonly output?: string; readonly touch?: string }

/** `cairn tar export REF[:PATH]` */
export async function tarExport(
  context: CommandContext,
  text: string,
  flags: TarExportFlags,
): Promise<void> {
  const { ref, path } = splitRefPath(text)
  const touchSeconds =
    flags.touch === undefined ? undefined : parseInteger(flags.touch, '--touch')
  const { output } = context
  const file = flags.output === '-' ? undefined : flags.output
  if (file === undefined) checkStandardOutput(context)
  const repository = await context.repository()
  const application = await resolveApplication(repository, ref)

  const run = async (write: WriteBytes): Promise<TarExportReport> => {
    using progress = output.progress(`exporting ${ref}`, 'entry')
    return await exportTar(repository.objects, { application, path }, write, {
      touchSeconds,
      onProgress: ({ entries, bytes }) => progress.update({ objects: entries, bytes }),
      signal: context.signal,
    })
  }
  const report =
    file === undefined
      ? await run(bytes => output.write(bytes))
      : await writeFile(file, run)
  for (const leftOut of report.leftOut) {
    output.warn(`left out ${describeLeftOut(leftOut, output.mode)}`)
  }
  const { entries, files, bytes } = report
  output.note(
    `wrote ${counted(entries, 'entry', 'entries')}, ${counted(files, 'file')} ` +
      `of ${formatBytes(bytes)} to ${file ?? 'standard output'}`,
  )
  if (file === undefined) return
  await output.result(
    {
      digest: application,
      path: path === undefined ? null : escapeBytes(path),
      file,
      entries,
      files,
      bytes,
      leftOut: leftOutMembers(report.leftOut),
    },
    '',
  )
}

async function writeFile(
  path: string,
  run: (write: WriteBytes) => Promise<TarExportReport>,
): Promise<TarExportReport> {
  await using file = await OutputFile.create(path)
  const report = await run(bytes => file.write(bytes))
  await file.finish()
  return report
}

function checkStandardOutput({ output }: CommandContext): void {
  if (output.mode.json) {
    throw new InvalidArgumentError('--json needs a file for the archive: -o FILE')
  }
  if (output.resultsAreShown) {
    throw new InvalidArgumentError(
      'an archive is not for a terminal: name a file with -o, or pipe it',
    )
  }
}
