import type { CommandContext } from '../context.js'

/** `cairn tag protect PATTERN` */
export async function tagProtect(
  context: CommandContext,
  pattern: string,
): Promise<void> {
  const repository = await context.repository()
  const added = await repository.tags.protection.add(pattern)
  context.output.note(
    added
      ? `tags that fit ${pattern} stay as they are`
      : `${pattern} protects tags already`,
  )
  await context.output.result({ pattern, added }, '')
}
