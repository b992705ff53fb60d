import type { CommandContext } from '../context.js'
import { formatJson } from '../json.js'
import { type SnapshotFlags, withSnapshotter } from '../open-snapshotter.js'
import { parseKeyArgument, snapshotMembers } from '../snapshot-document.js'
import { formatTable, printable } from '../text.js'

/** `cairn snapshot info KEY` */
export async function snapshotInfo(
  context: CommandContext,
  key: string,
  flags: SnapshotFlags,
): Promise<void> {
  await withSnapshotter(context, flags, async snapshotter => {
    const info = await snapshotter.stat(parseKeyArgument(key))
    const document = snapshotMembers(info)
    const { labels: _, ...members } = document
    const rows = Object.entries(members).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : formatJson(value),
    ])
    const labels = [...info.labels].map(([name, value]) => [
      'label',
      printable(`${name}=${value}`),
    ])
    await context.output.result(document, formatTable([...rows, ...labels]))
  })
}
