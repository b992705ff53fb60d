import { parseTagName } from '../../lib/object/tag-name.js'
import type { CommandContext } from '../context.js'
import { setTag } from '../set-tag.js'

/** `cairn tag set TAG REF` */
export async function tagSet(
  context: CommandContext,
  name: string,
  ref: string,
): Promise<void> {
  const tag = parseTagName(name)
  const repository = await context.repository()
  await setTag(context, repository, { tag, ref, message: `tag set ${ref}` })
}
