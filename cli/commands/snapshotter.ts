import { once } from 'node:events'
import { resolve } from 'node:path'
import { escapeBytes } from '../../lib/object/escape.js'
import { HeldLayers } from '../../lib/snapshot/content/held-layers.js'
import { RemoteSnapshotter } from '../../lib/snapshot/content/remote-snapshotter.js'
import type { DriverName } from '../../lib/snapshot/driver/snapshot-driver.js'
import type { LocalSnapshotter } from '../../lib/snapshot/local-snapshotter.js'
import { SnapshotServer } from '../../server/grpc/snapshot-server.js'
import { formatLogEntry, type LogEntry } from '../../server/log-entry.js'
import type { CommandContext } from '../context.js'
import { openLocal } from '../open-snapshotter.js'

export type SnapshotterFlags = {
  readonly socket: string
  readonly root?: string
  readonly driver?: DriverName
  /** False only by `--no-content-sync`. */
  readonly contentSync?: boolean
  readonly layers?: boolean
}

// With what closing takes, a service manager sees the end within five seconds.
const graceMs = 3000

/** `cairn snapshotter` */
export async function snapshotter(
  context: CommandContext,
  flags: SnapshotterFlags,
): Promise<void> {
  const { output, signal } = context
  const log = (entry: LogEntry): void => {
    if (!output.mode.quiet || entry.level !== 'info') output.log(formatLogEntry(entry))
  }
  await using local = await openLocal(context, flags)
  await using snapshots =
    flags.layers === true ? await withLayers(context, local, log) : local
  await using server = await SnapshotServer.listen({
    snapshotter: snapshots,
    socket: flags.socket,
    logger: log,
  })
  const { driver } = local
  const socket = resolve(flags.socket)
  await output.result(
    { socket, root: local.root, driver },
    `serving snapshots of ${local.root} at ${socket} (${driver})\n`,
  )
  if (!signal.aborted) await once(signal, 'abort')
  output.note('finishing')
  await server.close({ graceMs })
}

/** Spares the download of layers that the repository holds. */
async function withLayers(
  context: CommandContext,
  local: LocalSnapshotter,
  log: (entry: LogEntry) => void,
): Promise<RemoteSnapshotter> {
  const layers = new HeldLayers(await context.repository(), context.who())
  return RemoteSnapshotter.start(local, layers, (layer, error) => {
    const text = error instanceof Error ? error.message : String(error)
    log({
      time: new Date().toISOString(),
      level: 'warn',
      message: 'layer',
      service: 'snapshots',
      layer: escapeBytes(Buffer.from(layer)),
      error: escapeBytes(Buffer.from(text)),
    })
  })
}
