import { parseTagName } from '../../lib/object/tag-name.js'
import type { CommandContext } from '../context.js'
import { type OverrideFlags, setTag } from '../set-tag.js'

/** `cairn tag set TAG REF` */
export async function tagSet(
  context: CommandContext,
  name: string,
  ref: string,
  flags: OverrideFlags,
): Promise<void> {
  const tag = parseTagName(name)
  const repository = await context.repository()
  await setTag(context, repository, { tag, ref, message: `tag set ${ref}`, ...flags })
}
