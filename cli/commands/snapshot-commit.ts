import type { CommandContext } from '../context.js'
import { parseLabelArguments } from '../label-arguments.js'
import { withSnapshotter } from '../open-snapshotter.js'
import { parseKeyArgument } from '../snapshot-document.js'
import type { MakeFlags } from './snapshot-make.js'

/** `cairn snapshot commit NAME KEY` */
export async function snapshotCommit(
  context: CommandContext,
  { name, key }: { readonly name: string; readonly key: string },
  flags: MakeFlags,
): Promise<void> {
  await withSnapshotter(context, flags, async snapshotter => {
    const committed = parseKeyArgument(name)
    await snapshotter.commit(committed, parseKeyArgument(key), {
      labels: parseLabelArguments(flags.label ?? []),
      signal: context.signal,
    })
    // Counted now, what it takes is kept with it.
    const usage = await snapshotter.usage(committed)
    await context.output.result({ name, key, ...usage }, '')
  })
}
