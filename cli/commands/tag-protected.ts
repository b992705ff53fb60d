import type { CommandContext } from '../context.js'

/** `cairn tag protected` */
export async function tagProtected(context: CommandContext): Promise<void> {
  const repository = await context.repository()
  const patterns = repository.tags.protection.list()
  await context.output.result(
    { patterns },
    patterns.map(pattern => `${pattern}\n`).join(''),
  )
}
