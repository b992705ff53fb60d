import type { CommandContext } from '../context.js'
import { objectMembers, totalSize } from '../documents.js'
import { formatBytes, formatTable } from '../text.js'
import { openRemote } from './transfer.js'

/** `cairn remote tags REMOTE` */
export async function remoteTags(context: CommandContext, name: string): Promise<void> {
  await using remote = await openRemote(context, name)
  const tags = await remote.listTags({ signal: context.signal })
  await context.output.result(
    {
      url: remote.url.href,
      tags: tags.map(tag => ({ name: tag.name, ...objectMembers(tag.descriptor) })),
    },
    formatTable(
      tags.map(tag => [
        tag.name,
        tag.descriptor.digest,
        formatBytes(totalSize(tag.descriptor)),
      ]),
    ),
  )
}
