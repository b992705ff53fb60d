import type { CommandContext } from '../context.js'
import { type SnapshotFlags, withSnapshotter } from '../open-snapshotter.js'
import { parseKeyArgument } from '../snapshot-document.js'

/** `cairn snapshot rm KEY…` */
export async function snapshotRm(
  context: CommandContext,
  keys: readonly string[],
  flags: SnapshotFlags,
): Promise<void> {
  await withSnapshotter(context, flags, async snapshotter => {
    for (const key of keys) await snapshotter.remove(parseKeyArgument(key))
    await snapshotter.cleanup({ signal: context.signal })
    await context.output.result({ removed: keys }, '')
  })
}
