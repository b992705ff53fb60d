import { showSnapshotKey } from '../../lib/snapshot/snapshot-key.js'
import type { Snapshotter } from '../../lib/snapshot/snapshotter.js'
import type { CommandContext } from '../context.js'
import { type SnapshotFlags, withSnapshotter } from '../open-snapshotter.js'
import type { Row } from '../output.js'
import { parseKeyArgument } from '../snapshot-document.js'
import { formatBytes } from '../text.js'

/** `cairn snapshot usage [KEY…]` */
export async function snapshotUsage(
  context: CommandContext,
  keys: readonly string[],
  flags: SnapshotFlags,
): Promise<void> {
  await withSnapshotter(context, flags, async snapshotter => {
    await context.output.list('usages', listUsages(snapshotter, keys, context.signal))
  })
}

async function* listUsages(
  snapshotter: Snapshotter,
  keys: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Row, void> {
  const batches =
    keys.length > 0
      ? [keys.map(parseKeyArgument).map(name => ({ name }))]
      : snapshotter.walk([], { signal })
  for await (const batch of batches) {
    for (const { name } of batch) {
      const { size, inodes } = await snapshotter.usage(name, { signal })
      const key = showSnapshotKey(name)
      const columns = [formatBytes(size).padStart(10), String(inodes).padStart(8), key]
      yield { text: `${columns.join('  ')}\n`, json: { key, size, inodes } }
    }
  }
}
