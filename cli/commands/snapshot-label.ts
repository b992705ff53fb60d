import type { CommandContext } from '../context.js'
import { parseLabelArguments } from '../label-arguments.js'
import { type SnapshotFlags, withSnapshotter } from '../open-snapshotter.js'
import { parseKeyArgument, snapshotMembers } from '../snapshot-document.js'
import { printable } from '../text.js'

/** `cairn snapshot label KEY LABEL=VALUE…` */
export async function snapshotLabel(
  context: CommandContext,
  { key, texts }: { readonly key: string; readonly texts: readonly string[] },
  flags: SnapshotFlags,
): Promise<void> {
  const labels = parseLabelArguments(texts)
  await withSnapshotter(context, flags, async snapshotter => {
    const info = await snapshotter.update(parseKeyArgument(key), labels, {
      paths: [...labels.keys()].map(name => `labels.${name}`),
    })
    const lines = [...info.labels].map(label => `${printable(label.join('='))}\n`)
    await context.output.result(snapshotMembers(info), lines.join(''))
  })
}
