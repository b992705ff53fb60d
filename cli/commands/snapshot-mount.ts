import { resolve } from 'node:path'
import { mount } from '../../lib/system/mount.js'
import type { CommandContext } from '../context.js'
import { type SnapshotFlags, withSnapshotter } from '../open-snapshotter.js'
import { mountDocument, parseKeyArgument } from '../snapshot-document.js'

/** `cairn snapshot mount KEY DIR` */
export async function snapshotMount(
  context: CommandContext,
  { key, target }: { readonly key: string; readonly target: string },
  flags: SnapshotFlags,
): Promise<void> {
  await withSnapshotter(context, flags, async snapshotter => {
    const mounts = await snapshotter.mounts(parseKeyArgument(key))
    for (const each of mounts) mount(resolve(target), each)
    await context.output.result({ key, target, mounts: mountDocument(mounts) }, '')
  })
}
