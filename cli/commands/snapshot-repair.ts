import { repairSnapshots } from '../../lib/snapshot/repair-snapshots.js'
import { showSnapshotKey } from '../../lib/snapshot/snapshot-key.js'
import type { CommandContext } from '../context.js'
import { type SnapshotFlags, snapshotRoot } from '../open-snapshotter.js'
import { counted, printable } from '../text.js'

/** `cairn snapshot repair` */
export async function snapshotRepair(
  context: CommandContext,
  flags: SnapshotFlags,
): Promise<void> {
  const report = await repairSnapshots(await snapshotRoot(context, flags))
  const { kept, damaged, lost } = report
  const dropped = report.dropped.map(showSnapshotKey)
  const lines = [
    `kept ${counted(kept, 'snapshot')}; the damaged log is ${printable(damaged)}`,
    ...dropped.map(key => `dropped ${key}: not all that it stands on was found`),
    ...lost.map(path => `moved ${printable(path)}: no snapshot names it`),
  ]
  await context.output.result(
    { kept, dropped, lost, damaged },
    lines.map(line => `${line}\n`).join(''),
  )
}
