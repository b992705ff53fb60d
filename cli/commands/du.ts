import type { Descriptor } from '../../lib/object/descriptor.js'
import { describeObject } from '../../lib/repository/describe-object.js'
import type { Repository } from '../../lib/repository/repository.js'
import { numberObjects } from '../../lib/repository/usage/object-numbers.js'
import { treeUsages, type UsageTally } from '../../lib/repository/usage/tree-usage.js'
import { resolveApplication } from '../application-ref.js'
import type { CommandContext } from '../context.js'
import { formatBytes, formatTable, printable } from '../text.js'

type Named = { readonly ref: string; readonly descriptor: Descriptor }

/** `cairn du [REF…]` */
export async function du(
  context: CommandContext,
  refs: readonly string[],
): Promise<void> {
  const { output, signal } = context
  const repository = await context.repository()
  const tags = await repository.tags.list()
  const all = tags.map(({ name, descriptor }): Named => ({ ref: name, descriptor }))
  const asked = refs.length === 0 ? all : await namedBy(repository, refs)
  // Tags count as others only where they name another tree than those asked for.
  const digests = new Set(asked.map(({ descriptor }) => descriptor.digest))
  const others = all.filter(({ descriptor }) => !digests.has(descriptor.digest))
  const trees = [...asked, ...others].map(({ descriptor }) => descriptor)
  using numbers = numberObjects(repository)
  using progress = output.progress('counting')
  const usage = await treeUsages(repository.objects, trees, numbers, {
    asked: asked.length,
    signal,
  })
  progress.update(usage.total)
  // A bar must not stand where the result goes.
  progress[Symbol.dispose]()
  const rows = asked.flatMap(({ ref, descriptor }, index) => {
    const one = usage.trees[index]
    return one === undefined ? [] : [{ ref, digest: descriptor.digest, ...one }]
  })
  await output.result(
    { trees: rows, total: usage.total },
    formatTable([
      ['ref', 'tree', 'alone', 'shared'],
      ...rows.map(({ ref, logicalBytes, alone, shared }) =>
        cells(printable(ref), formatBytes(logicalBytes), [alone, shared]),
      ),
      ['together', '', formatBytes(usage.total.storedBytes), ''],
    ]),
  )
}

function cells(
  name: string,
  logical: string,
  tallies: readonly UsageTally[],
): readonly string[] {
  return [name, logical, ...tallies.map(({ storedBytes }) => formatBytes(storedBytes))]
}

async function namedBy(
  repository: Repository,
  refs: readonly string[],
): Promise<Named[]> {
  const named: Named[] = []
  for (const ref of refs) {
    const digest = await resolveApplication(repository, ref)
    named.push({ ref, descriptor: await describeObject(repository.objects, digest) })
  }
  return named
}
