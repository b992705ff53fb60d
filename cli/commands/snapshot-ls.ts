import { showSnapshotKey } from '../../lib/snapshot/snapshot-key.js'
import type { Snapshotter } from '../../lib/snapshot/snapshotter.js'
import type { CommandContext } from '../context.js'
import { type SnapshotFlags, withSnapshotter } from '../open-snapshotter.js'
import type { Row } from '../output.js'
import { kindName, snapshotMembers } from '../snapshot-document.js'

/** `cairn snapshot ls [FILTER…]` */
export async function snapshotLs(
  context: CommandContext,
  filters: readonly string[],
  flags: SnapshotFlags,
): Promise<void> {
  await withSnapshotter(context, flags, async snapshotter => {
    await context.output.list('snapshots', listRows(snapshotter, filters, context.signal))
  })
}

async function* listRows(
  snapshotter: Snapshotter,
  filters: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Row, void> {
  for await (const batch of snapshotter.walk(filters, { signal })) {
    for (const info of batch) {
      const names = [info.name, info.parent].map(showSnapshotKey)
      const text = [kindName(info.kind).padEnd(9), ...names].join('  ').trimEnd()
      yield { text: `${text}\n`, json: snapshotMembers(info) }
    }
  }
}
