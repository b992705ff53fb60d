import { push as pushTag } from '../../lib/remote/push.js'
import type { CommandContext } from '../context.js'
import {
  openRemote,
  runTransfer,
  type TransferFlags,
  type TransferPlace,
} from './transfer.js'

/** `cairn push REMOTE TAG` */
export async function push(
  context: CommandContext,
  place: TransferPlace,
  { as, ...flags }: TransferFlags,
): Promise<void> {
  const repository = await context.repository()
  await using remote = await openRemote(context, place.remote, flags)
  await runTransfer(context, `pushing ${place.tag}`, remote, async progress =>
    pushTag(remote, repository, {
      ref: place.tag,
      ...(as !== undefined && { as }),
      progress,
      signal: context.signal,
    }),
  )
}
