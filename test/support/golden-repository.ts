import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { StoreLayout } from '../../lib/repository/config.js'
import { initRepository } from '../../lib/repository/init.js'
import type { Repository } from '../../lib/repository/repository.js'
import type { NewObject } from '../../lib/store/object-store.js'
import { goldenObjects } from './golden-store.js'
import { loadGoldenTree } from './golden-tree.js'

/** The layouts that a repository can have. */
export const layouts: readonly StoreLayout[] = ['pack', 'loose']

/** Makes a repository with the algorithm of the original program and objects in it. */
export async function makeRepositoryWith(
  folder: string,
  objects: readonly NewObject[] = [],
  layout: StoreLayout = 'pack',
): Promise<Repository> {
  mkdirSync(join(folder, '..'), { recursive: true })
  const algorithm = findAlgorithmByName('sha512-256')
  if (algorithm === undefined) throw new Error('sha512-256 is unknown')
  const choices = { algorithm, layout, compression: 'none' } as const
  const repository = await initRepository(folder, choices)
  if (objects.length > 0) {
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'whole',
    })
    const links = await session.objects.put(objects)
    await session.objects.publish(links.map(({ digest }) => digest))
  }
  return repository
}

/** Makes a repository that holds the whole recorded tree under its tag. */
export async function makeGoldenRepository(
  folder: string,
  layout?: StoreLayout,
): Promise<Repository> {
  const repository = await makeRepositoryWith(folder, goldenObjects(), layout)
  const { tagName, application } = loadGoldenTree()
  await repository.tags.set(tagName, application)
  return repository
}
