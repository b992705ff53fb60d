import type { CommandContext } from '../context.js'
import { type SnapshotFlags, withSnapshotter } from '../open-snapshotter.js'
import { mountDocument, mountLines, parseKeyArgument } from '../snapshot-document.js'

/** `cairn snapshot mounts KEY [DIR]` */
export async function snapshotMounts(
  context: CommandContext,
  { key, target = 'DIR' }: { readonly key: string; readonly target: string | undefined },
  flags: SnapshotFlags,
): Promise<void> {
  await withSnapshotter(context, flags, async snapshotter => {
    const mounts = await snapshotter.mounts(parseKeyArgument(key))
    const document = { key, mounts: mountDocument(mounts) }
    await context.output.result(document, mountLines(mounts, target))
  })
}
