import type { SnapshotInfo } from '../../lib/snapshot/snapshot.js'
import {
  noSnapshot,
  type SnapshotKey,
  showSnapshotKey,
} from '../../lib/snapshot/snapshot-key.js'
import type { CommandContext } from '../context.js'
import { type SnapshotFlags, withSnapshotter } from '../open-snapshotter.js'
import { kindName, snapshotMembers } from '../snapshot-document.js'

/** `cairn snapshot tree` */
export async function snapshotTree(
  context: CommandContext,
  flags: SnapshotFlags,
): Promise<void> {
  await withSnapshotter(context, flags, async snapshotter => {
    const children = new Map<SnapshotKey, SnapshotInfo[]>()
    const all: SnapshotInfo[] = []
    for await (const batch of snapshotter.walk([], { signal: context.signal })) {
      for (const info of batch) {
        all.push(info)
        const siblings = children.get(info.parent) ?? []
        siblings.push(info)
        children.set(info.parent, siblings)
      }
    }
    const document = { snapshots: all.map(snapshotMembers) }
    await context.output.result(document, [...treeLines(children)].join(''))
  })
}

// Chains can be deeper than calls may nest.
function* treeLines(
  children: ReadonlyMap<SnapshotKey, readonly SnapshotInfo[]>,
): Generator<string, void> {
  const below = (key: SnapshotKey, depth: number) =>
    (children.get(key) ?? []).map(info => ({ info, depth })).toReversed()
  const left = below(noSnapshot, 0)
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { info, depth } = next
    const kind = info.kind === 'committed' ? '' : `  (${kindName(info.kind)})`
    yield `${'  '.repeat(depth)}${showSnapshotKey(info.name)}${kind}\n`
    left.push(...below(info.name, depth + 1))
  }
}
