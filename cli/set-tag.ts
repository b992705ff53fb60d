import { WrongObjectTypeError } from '../lib/errors.js'
import type { TagName } from '../lib/object/tag-name.js'
import { describeObject } from '../lib/repository/describe-object.js'
import type { Repository } from '../lib/repository/repository.js'
import type { CommandContext } from './context.js'
import { objectMembers } from './documents.js'

/** What a tag shall name, and why. */
export type TagSetting = OverrideFlags & {
  readonly tag: TagName
  readonly ref: string
  readonly message: string
}

/** Whether protection counts. */
export type OverrideFlags = { readonly overrideProtection?: boolean }

/** What a change of a tag that goes against its protection says. */
export function overriding({ overrideProtection = false }: OverrideFlags): {
  readonly override?: 'protection'
} {
  return overrideProtection ? { override: 'protection' } : {}
}

/** Makes a tag name what a REF names, and prints what happened. */
export async function setTag(
  context: CommandContext,
  repository: Repository,
  { tag, ref, message, ...flags }: TagSetting,
): Promise<void> {
  const { digest } = await repository.resolveRef(ref)
  const descriptor = await describeObject(repository.objects, digest)
  if (descriptor.type !== 'application') {
    throw new WrongObjectTypeError(
      `${ref} cannot be tagged: expected an application, found a ${descriptor.type}`,
      { ref, expected: 'application', found: descriptor.type },
    )
  }
  const before = await repository.tags.find(tag)
  await repository.tags.set(tag, descriptor, {
    expected: before ?? 'absent',
    who: context.who(),
    message,
    ...overriding(flags),
  })
  context.output.note(`${tag} names ${descriptor.digest}`)
  await context.output.result(
    {
      tag,
      ...objectMembers(descriptor),
      before: before === undefined ? null : objectMembers(before),
    },
    '',
  )
}
