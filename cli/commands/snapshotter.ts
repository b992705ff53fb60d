import { once } from 'node:events'
import { resolve } from 'node:path'
import type { DriverName } from '../../lib/snapshot/driver/snapshot-driver.js'
import { SnapshotServer } from '../../server/grpc/snapshot-server.js'
import { formatLogEntry } from '../../server/log-entry.js'
import type { CommandContext } from '../context.js'
import { openLocal } from '../open-snapshotter.js'

export type SnapshotterFlags = {
  readonly socket: string
  readonly root?: string
  readonly driver?: DriverName
  /** False only by `--no-content-sync`. */
  readonly contentSync?: boolean
}

// With what closing takes, a service manager sees the end within five seconds.
const graceMs = 3000

/** `cairn snapshotter` */
export async function snapshotter(
  context: CommandContext,
  flags: SnapshotterFlags,
): Promise<void> {
  const { output, signal } = context
  await using snapshots = await openLocal(context, flags)
  await using server = await SnapshotServer.listen({
    snapshotter: snapshots,
    socket: flags.socket,
    logger: entry => {
      if (!output.mode.quiet || entry.level !== 'info') output.log(formatLogEntry(entry))
    },
  })
  const { driver } = snapshots
  const socket = resolve(flags.socket)
  await output.result(
    { socket, root: snapshots.root, driver },
    `serving snapshots of ${snapshots.root} at ${socket} (${driver})\n`,
  )
  if (!signal.aborted) await once(signal, 'abort')
  output.note('finishing')
  await server.close({ graceMs })
}
