import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'
import { type OverrideFlags, overriding } from '../set-tag.js'

/** `cairn tag remove TAG` */
export async function tagRemove(
  context: CommandContext,
  name: string,
  flags: OverrideFlags,
): Promise<void> {
  const repository = await context.repository()
  const before = await repository.tags.get(name)
  await repository.tags.remove(name, {
    expected: before,
    who: context.who(),
    message: 'tag remove',
    ...overriding(flags),
  })
  context.output.note(`removed ${name}, which named ${before.digest}`)
  await context.output.result({ tag: name, before: objectMembers(before) }, '')
}
