import { parseCompression } from '../../lib/repository/compression.js'
import type { StoreLayout } from '../../lib/repository/config.js'
import type { CommandContext } from '../context.js'
import { parseInteger } from '../parse-number.js'
import { counted, formatBytes } from '../text.js'

export type MigrateFlags = {
  readonly layout: StoreLayout
  readonly compression?: string
  readonly wait?: string
}

/** `cairn migrate --layout NAME` */
export async function migrate(
  context: CommandContext,
  flags: MigrateFlags,
): Promise<void> {
  const { output, signal } = context
  const wanted =
    flags.compression === undefined ? undefined : parseCompression(flags.compression)
  const wait =
    flags.wait === undefined
      ? undefined
      : 1000 * Number(parseInteger(flags.wait, '--wait'))
  const repository = await context.repository()
  using progress = output.progress('migrating')
  const { config, moved, objects, bytes } = await repository.migrate(
    { layout: flags.layout, ...(wanted === undefined ? {} : { compression: wanted }) },
    {
      signal,
      ...(wait === undefined ? {} : { wait }),
      onProgress: done => progress.update(done),
    },
  )
  // A bar must not stand where the result goes.
  progress[Symbol.dispose]()
  const { layout, compression } = config
  const kind = compression === 'none' ? layout : `${layout}, ${compression}`
  output.note(
    moved
      ? `moved ${counted(objects, 'object')}, ${formatBytes(bytes)}; the layout is ${kind}`
      : `no object moved; the layout is ${kind}`,
  )
  await output.result(
    { repository: repository.root, layout, compression, moved, objects, bytes },
    '',
  )
}
