import { pull as pullTag } from '../../lib/remote/pull.js'
import type { CommandContext } from '../context.js'
import {
  openRemote,
  runTransfer,
  type TransferFlags,
  type TransferPlace,
} from './transfer.js'

/** `cairn pull REMOTE TAG` */
export async function pull(
  context: CommandContext,
  place: TransferPlace,
  { as, ...flags }: TransferFlags,
): Promise<void> {
  const repository = await context.repository()
  await using remote = await openRemote(context, place.remote, flags)
  await runTransfer(context, `pulling ${place.tag}`, remote, async progress =>
    pullTag(remote, repository, {
      tag: place.tag,
      ...(as !== undefined && { as }),
      who: context.who(),
      progress,
      signal: context.signal,
    }),
  )
}
