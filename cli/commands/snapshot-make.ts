import type { CommandContext } from '../context.js'
import { parseLabelArguments } from '../label-arguments.js'
import { type SnapshotFlags, withSnapshotter } from '../open-snapshotter.js'
import { mountDocument, mountLines, parseKeyArgument } from '../snapshot-document.js'

export type MakeFlags = SnapshotFlags & { readonly label?: readonly string[] }

/** What is made: the key, and what below. */
export type NewSnapshot = { readonly key: string; readonly parent: string | undefined }

/** `cairn snapshot prepare KEY [PARENT]`, `cairn snapshot view KEY [PARENT]` */
export async function snapshotMake(
  context: CommandContext,
  call: 'prepare' | 'view',
  { key, parent, ...flags }: NewSnapshot & MakeFlags,
): Promise<void> {
  await withSnapshotter(context, flags, async snapshotter => {
    const mounts = await snapshotter[call](parseKeyArgument(key), {
      labels: parseLabelArguments(flags.label ?? []),
      signal: context.signal,
      ...(parent !== undefined && { parent: parseKeyArgument(parent) }),
    })
    const document = { key, mounts: mountDocument(mounts) }
    await context.output.result(document, mountLines(mounts, 'DIR'))
  })
}
