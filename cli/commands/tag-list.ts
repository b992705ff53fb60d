import type { SkippedTag } from '../../lib/repository/tag-store.js'
import type { CommandContext } from '../context.js'
import { objectMembers, totalSize } from '../documents.js'
import { formatBytes, formatTable } from '../text.js'

/** `cairn tag list` */
export async function tagList(context: CommandContext): Promise<void> {
  const repository = await context.repository()
  const skipped: SkippedTag[] = []
  const tags = await repository.tags.list({ onSkipped: tag => skipped.push(tag) })
  for (const { path, reason } of skipped) {
    context.output.warn(`${path} is passed over: ${reason}`)
  }
  await context.output.result(
    {
      tags: tags.map(({ name, descriptor }) => ({ name, ...objectMembers(descriptor) })),
      skipped: skipped.map(({ name, path, reason }) => ({ name, path, reason })),
    },
    formatTable(
      tags.map(({ name, descriptor }) => [
        name,
        descriptor.digest,
        formatBytes(totalSize(descriptor)),
      ]),
    ),
  )
}
