import { InvalidArgumentError } from '../../lib/errors.js'
import type { CommandContext } from '../context.js'

/** `cairn tag unprotect PATTERN` */
export async function tagUnprotect(
  context: CommandContext,
  pattern: string,
): Promise<void> {
  const repository = await context.repository()
  const removed = await repository.tags.protection.remove(pattern)
  if (!removed) {
    throw new InvalidArgumentError(
      `no pattern ${JSON.stringify(pattern)} protects tags here`,
      {
        pattern,
      },
    )
  }
  context.output.note(`${pattern} protects no tags any more`)
  await context.output.result({ pattern, removed }, '')
}
