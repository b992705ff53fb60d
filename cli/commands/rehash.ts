import { InvalidArgumentError } from '../../lib/errors.js'
import { type AlgorithmName, findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { parseTagName } from '../../lib/object/tag-name.js'
import { rehashApplication } from '../../lib/tree/rehash.js'
import { resolveApplication } from '../application-ref.js'
import type { CommandContext } from '../context.js'
import { objectMembers } from '../documents.js'

export type RehashFlags = { readonly algorithm: AlgorithmName; readonly tag: string }

/** `cairn rehash REF --algorithm ALG -t TAG` */
export async function rehash(
  context: CommandContext,
  ref: string,
  flags: RehashFlags,
): Promise<void> {
  const tag = parseTagName(flags.tag)
  const { source, descriptor } = await rehashTree(context, ref, { ...flags, tag })
  context.output.note(`${tag} names ${source} in ${flags.algorithm}`)
  await context.output.result(
    { source, ...objectMembers(descriptor), algorithm: flags.algorithm, tag },
    `${descriptor.digest}\n`,
  )
}

async function rehashTree(
  context: CommandContext,
  ref: string,
  flags: RehashFlags,
): Promise<{ source: string; descriptor: Descriptor }> {
  const algorithm = findAlgorithmByName(flags.algorithm)
  if (algorithm === undefined) {
    throw new InvalidArgumentError(`unknown algorithm ${flags.algorithm}`)
  }
  const repository = await context.repository()
  const source = await resolveApplication(repository, ref)
  await using session = await repository.begin({
    purpose: 'rehash',
    publishing: 'gradual',
    algorithm,
  })
  using progress = context.output.progress(`rehashing ${ref}`)
  const descriptor = await rehashApplication(
    repository.objects,
    source,
    session.objects,
    {
      algorithm,
      onProgress: ({ objects, bytes }) => progress.update({ objects, bytes }),
      signal: context.signal,
    },
  )
  await session.objects.publish([descriptor.digest])
  await repository.tags.set(flags.tag, descriptor, {
    who: context.who(),
    message: `rehash ${source}`,
  })
  return { source, descriptor }
}
