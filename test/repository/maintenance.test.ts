import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openRepository } from '../../lib/repository/open.js'
import type { Repository } from '../../lib/repository/repository.js'
import { MultiIndex } from '../../lib/store/pack/multi-index.js'
import {
  makePackedRepository,
  problemsOf,
  storeFiles,
} from '../support/packed-repository.js'
import { makeRepository, storeSmallTree } from '../support/scratch-repository.js'

function packsOf(repository: Repository): number {
  const names = readdirSync(join(repository.root, 'packs'))
  return names.filter(name => name.endsWith('.pack')).length
}

t.test('keeps the number of packs bounded, and every object', async t => {
  const repository = await makePackedRepository(t.testdir())
  let most = 0
  for (let turn = 0; turn < 40; turn++) {
    await storeFiles(repository, [`content ${turn}`], `tag-${turn}`)
    most = Math.max(most, packsOf(repository))
  }
  t.ok(most <= 17, `${most} packs`)
  t.equal(repository.maintenanceProblem, undefined)
  t.strictSame(await problemsOf(repository), [])
  await repository.tags.remove('tag-1')
  await repository.gc({ grace: 0, window: 0 })
  t.strictSame(await problemsOf(repository), [])
})

t.test('fails no session when packs cannot be merged', async t => {
  const repository = await makePackedRepository(t.testdir())
  const lock = join(repository.root, 'gc.lock')
  mkdirSync(lock)
  for (let turn = 0; turn < 18; turn++) await storeFiles(repository, [`${turn}`])
  t.match(repository.maintenanceProblem, { code: 'invalid_repository' })
  t.equal(packsOf(repository), 18)
  rmSync(lock, { recursive: true })
  await storeFiles(repository, ['last'])
  t.equal(repository.maintenanceProblem, undefined)
  t.ok(packsOf(repository) < 17)
})

t.test('claims the reserve behind the first session, in every layout', async t => {
  const folder = t.testdir({ loose: {}, pack: {} })
  const loose = await makeRepository(join(folder, 'loose'))
  await storeSmallTree(loose, 1)
  const packed = await makePackedRepository(join(folder, 'pack'))
  await storeFiles(packed, ['content'], 'tag')
  for (const { root, maintenanceProblem } of [loose, packed]) {
    t.equal(statSync(join(root, 'reserve')).size, 65_536)
    t.equal(maintenanceProblem, undefined)
  }
})

t.test('indexes packs that cannot be merged, and forgets the index in time', async t => {
  const repository = await makePackedRepository(t.testdir())
  const multi = join(repository.root, 'packs', 'multi')
  for (let turn = 0; turn < 17; turn++) {
    await storeFiles(repository, [`content ${turn}`])
    // What is in the trash is not merged.
    await repository.gc()
  }
  await storeFiles(repository, ['one more'], 'last')
  t.equal(repository.maintenanceProblem, undefined)
  t.ok(existsSync(multi))
  {
    using index = MultiIndex.open(multi)
    t.ok(index.packs.length > 16, `${index.packs.length} packs`)
  }
  using other = await openRepository(repository.root)
  t.equal((await other.objects.has([(await other.tags.get('last')).digest])).count(), 1)
  await repository.gc({ grace: 0 })
  await storeFiles(repository, ['the very last'], 'last')
  t.notOk(existsSync(multi), 'an index of packs that are gone')
  t.strictSame(await problemsOf(repository), [])
})
