import { join } from 'node:path'
import { InvalidArgumentError } from '../lib/errors.js'
import type { SnapshotContents } from '../lib/snapshot/content/snapshot-contents.js'
import type { DriverName } from '../lib/snapshot/driver/snapshot-driver.js'
import type { Snapshotter } from '../lib/snapshot/snapshotter.js'
import type { CommandContext } from './context.js'

/** Where snapshots are: in a folder, or behind the socket of who has it open. */
export type SnapshotFlags = {
  readonly root?: string
  readonly driver?: DriverName
  readonly socket?: string
  /** False: commits do not wait until files are on disk. */
  readonly contentSync?: boolean
}

/** Runs an action on the snapshots that the flags name. */
export async function withSnapshotter<Result>(
  context: CommandContext,
  flags: SnapshotFlags,
  action: (snapshotter: Snapshotter) => Promise<Result>,
): Promise<Result> {
  await using snapshotter = await openSnapshots(context, flags)
  return await action(snapshotter)
}

/** Runs an action on the files of the snapshots that the flags name. */
export async function withContents<Result>(
  context: CommandContext,
  flags: SnapshotFlags,
  action: (contents: SnapshotContents) => Promise<Result>,
): Promise<Result> {
  if (flags.socket === undefined) {
    await using local = await openLocal(context, flags)
    return await action(local)
  }
  const { ContentsByCalls } = await import('../lib/snapshot/content/contents-by-calls.js')
  return withSnapshotter(context, flags, async snapshotter =>
    action(new ContentsByCalls(snapshotter)),
  )
}

/** The folder of snapshots that the flags name: in the repository unless told. */
export async function snapshotRoot(
  context: CommandContext,
  { root }: SnapshotFlags,
): Promise<string> {
  return root ?? join((await context.repository()).root, 'snapshots')
}

async function openSnapshots(
  context: CommandContext,
  flags: SnapshotFlags,
): Promise<Snapshotter> {
  const { socket, root, driver } = flags
  if (socket !== undefined) {
    if (root !== undefined || driver !== undefined) {
      throw new InvalidArgumentError('--socket goes without --root and --driver')
    }
    const { SnapshotClient } = await import('../server/grpc/snapshot-client.js')
    return new SnapshotClient(socket)
  }
  return openLocal(context, flags)
}

/** Opens a folder of snapshots, and says what was found in it. */
export async function openLocal(context: CommandContext, flags: SnapshotFlags) {
  const { openSnapshotter } = await import('../lib/snapshot/open-snapshotter.js')
  const { showSnapshotKey } = await import('../lib/snapshot/snapshot-key.js')
  const { output } = context
  const snapshotter = await openSnapshotter(await snapshotRoot(context, flags), {
    ...(flags.driver !== undefined && { driver: flags.driver }),
    ...(flags.contentSync === false && { contentSync: 'none' }),
    onRefused: reason => output.warn(`snapshots are copied, not layered: ${reason}`),
  })
  const { orphans, restored, missing } = snapshotter.recovery
  output.detail(`snapshots by the driver ${snapshotter.driver}`)
  if (orphans > 0) output.detail(`${orphans} folders belonged to no snapshot`)
  for (const key of restored) {
    output.warn(
      `snapshot ${showSnapshotKey(key)} had lost its folder, and is empty again`,
    )
  }
  for (const key of missing) {
    output.warn(`snapshot ${showSnapshotKey(key)} has lost its files: remove it`)
  }
  return snapshotter
}
