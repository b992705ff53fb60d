import type { CommandContext } from '../context.js'
import { formatTable } from '../text.js'

/** `cairn remote list` */
export async function remoteList(context: CommandContext): Promise<void> {
  const repository = await context.repository()
  const remotes = await repository.remotes.list()
  await context.output.result(
    { remotes: remotes.map(({ name, url }) => ({ name, url: url.href })) },
    formatTable(remotes.map(({ name, url }) => [name, url.href])),
  )
}
