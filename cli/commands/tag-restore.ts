import { InvalidArgumentError } from '../../lib/errors.js'
import { parseTagName } from '../../lib/object/tag-name.js'
import type { CommandContext } from '../context.js'
import { type OverrideFlags, setTag } from '../set-tag.js'

/** `cairn tag restore TAG@{n}` */
export async function tagRestore(
  context: CommandContext,
  ref: string,
  flags: OverrideFlags,
): Promise<void> {
  const name = /^([^@]*)@\{\d+\}$/.exec(ref)?.[1]
  if (name === undefined) {
    throw new InvalidArgumentError(
      `no former value of a tag: expected TAG@{n}, found ${JSON.stringify(ref)}`,
      { found: ref },
    )
  }
  const tag = parseTagName(name)
  const repository = await context.repository()
  await setTag(context, repository, { tag, ref, message: `restore ${ref}`, ...flags })
}
