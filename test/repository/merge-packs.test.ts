import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Repository } from '../../lib/repository/repository.js'
import {
  makePackedRepository,
  problemsOf,
  storeFiles,
} from '../support/packed-repository.js'

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
  t.match(repository.maintenanceProblem, { code: 'EISDIR' })
  t.equal(packsOf(repository), 18)
  rmSync(lock, { recursive: true })
  await storeFiles(repository, ['last'])
  t.equal(repository.maintenanceProblem, undefined)
  t.ok(packsOf(repository) < 17)
})
