import { resolveApplication } from '../application-ref.js'
import type { CommandContext } from '../context.js'
import { parseLabelArguments } from '../label-arguments.js'
import { describeLeftOut, leftOutMembers } from '../left-out.js'
import { type SnapshotFlags, withContents } from '../open-snapshotter.js'
import { parseKeyArgument } from '../snapshot-document.js'
import { counted, formatBytes } from '../text.js'

export type LoadFlags = SnapshotFlags & {
  readonly parent?: string
  readonly label?: readonly string[]
}

/** `cairn snapshot load REF NAME` */
export async function snapshotLoad(
  context: CommandContext,
  { ref, name }: { readonly ref: string; readonly name: string },
  flags: LoadFlags,
): Promise<void> {
  const { loadSnapshot } = await import('../../lib/snapshot/content/load-snapshot.js')
  const { output } = context
  const repository = await context.repository()
  const application = await resolveApplication(repository, ref)
  const loaded = await withContents(context, flags, async contents => {
    using progress = output.progress(`loading ${ref}`, 'entry')
    const source = { reader: repository.objects, application }
    return await loadSnapshot(contents, parseKeyArgument(name), source, {
      ...(flags.parent !== undefined && { parent: parseKeyArgument(flags.parent) }),
      labels: parseLabelArguments(flags.label ?? []),
      onProgress: ({ entries, bytes }) => progress.update({ objects: entries, bytes }),
      signal: context.signal,
    })
  })
  for (const leftOut of loaded.leftOut) {
    output.warn(`left out ${describeLeftOut(leftOut, output.mode)}`)
  }
  const { shared, entries, files, bytes } = loaded
  output.note(
    shared
      ? `${name} shares the files of a snapshot of the same content`
      : `wrote ${counted(entries, 'entry', 'entries')}, ${counted(files, 'file')} ` +
          `of ${formatBytes(bytes)}`,
  )
  await output.result(
    {
      name,
      digest: application,
      parent: flags.parent ?? null,
      shared,
      entries,
      files,
      bytes,
      leftOut: leftOutMembers(loaded.leftOut),
    },
    '',
  )
}
