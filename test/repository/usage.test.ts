import { join } from 'node:path'
import t from 'tap'
import type { Repository } from '../../lib/repository/repository.js'
import { LargestFiles } from '../../lib/repository/usage/largest-files.js'
import { numberObjects } from '../../lib/repository/usage/object-numbers.js'
import { repositoryStats } from '../../lib/repository/usage/repository-stats.js'
import { treeUsages } from '../../lib/repository/usage/tree-usage.js'
import { makePackedRepository, storeFiles } from '../support/packed-repository.js'
import { makeRepository } from '../support/scratch-repository.js'
import { noise, prose } from '../support/stored-objects.js'

const common = noise(50_000, 1)

async function eachLayout(
  t: Tap,
  check: (t: Tap, repository: Repository) => Promise<void>,
): Promise<void> {
  const folder = t.testdir({ loose: {}, pack: {} })
  await check(t, await makeRepository(join(folder, 'loose')))
  await check(t, await makePackedRepository(join(folder, 'pack')))
}

type Tap = typeof t

t.test('tells what trees need alone and share, in every layout', async t =>
  eachLayout(t as Tap, async (t, repository) => {
    const one = await storeFiles(repository, [common, noise(1000, 2)], 'one')
    const two = await storeFiles(repository, [common, noise(2000, 3)], 'two')
    const three = await storeFiles(repository, [noise(4000, 4)], 'three')
    const usages = async (trees: (typeof one)[], asked?: number) => {
      using numbers = numberObjects(repository)
      const options = asked === undefined ? {} : { asked }
      return await treeUsages(repository.objects, trees, numbers, options)
    }
    const { trees, total } = await usages([one, two, three])
    // Of its own each has a file, the folder and the application; two headers are common.
    t.same(
      trees.map(({ alone, shared }) => [alone.objects, shared.objects]),
      [
        [3, 3],
        [3, 3],
        [3, 2],
      ],
    )
    t.equal(total.objects, 12)
    for (const [index, tree] of [one, two, three].entries()) {
      const { logicalBytes, alone, shared } = trees[index] ?? {}
      t.equal(logicalBytes, BigInt(tree.size) + tree.subObjectsSize)
      t.ok((alone?.bytes ?? 0) >= 1000 * 2 ** index)
      t.equal((shared?.bytes ?? 0) > 50_000, index < 2)
    }
    const alone = await usages([three])
    t.match(alone.trees, [{ alone: { objects: 5 }, shared: { objects: 0 } }])
    const asked = await usages([one, two, three], 1)
    t.same(asked.trees, trees.slice(0, 1))
    t.equal(asked.total.objects, 6)
    const same = await usages([one, one])
    t.match(same.trees, [{ alone: { objects: 0 } }, { alone: { objects: 0 } }])
  }),
)

t.test('counts by type, and tells garbage from what is in use', async t =>
  eachLayout(t as Tap, async (t, repository) => {
    const one = await storeFiles(repository, [common, prose(1000, 2)], 'one')
    await storeFiles(repository, [prose(300, 3)])
    const stats = await repositoryStats(repository, { largest: 1 })
    t.match(stats, {
      trees: 1,
      logicalBytes: BigInt(one.size) + one.subObjectsSize,
      reachable: { objects: 6 },
      garbage: { objects: 3 },
      types: {
        file: { objects: 3, bytes: 51_300 },
        directory: { objects: 2 },
        header: { objects: 2 },
        application: { objects: 2 },
      },
      packs: { count: repository.config.layout === 'pack' ? 2 : 0, compressedObjects: 0 },
      largest: [{ size: 50_000 }],
    })
    t.ok(stats.diskBytes > 51_300)
    t.ok(stats.reachable.storedBytes > 51_000)
  }),
)

t.test('counts an object in several packs once, and what compression saves', async t => {
  const repository = await makePackedRepository(t.testdir(), 'zstd:3')
  const before = await storeFiles(repository, [prose(100_000, 2)], 'one')
  const first = await repositoryStats(repository)
  t.ok(first.reachable.storedBytes < first.reachable.bytes / 2)
  t.equal(first.packs.compressedObjects, 1)
  // Stored while it counted as absent, so that it lies there twice.
  await repository.tags.remove('one')
  await repository.gc({ window: 0 })
  await storeFiles(repository, [prose(100_000, 2)], 'one')
  t.same((await repository.tags.get('one')).digest, before.digest)
  const second = await repositoryStats(repository)
  t.same(second.reachable, first.reachable)
  t.same(second.garbage, { objects: 0, bytes: 0, storedBytes: 0 })
})

t.test('keeps the largest files, of equal ones the lower digests', async t => {
  const largest = new LargestFiles(3)
  const random = [5, 1, 9, 9, 3, 9, 2, 9, 7, 9]
  for (const [index, size] of random.entries()) {
    largest.add({ digest: `0a0${9 - index}` as never, type: 'file', size })
    largest.add({ digest: `0a1${index}` as never, type: 'directory', size: 100 })
  }
  t.same(
    largest.list().map(({ digest, size }) => [digest, size]),
    [
      ['0a00', 9],
      ['0a02', 9],
      ['0a04', 9],
    ],
  )
  t.same(new LargestFiles(0).list(), [])
})
