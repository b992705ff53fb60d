import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cairn, cairnJson } from '../support/run-cairn.js'

t.test('gc tells, removes, explains and brings back', async t => {
  const folder = t.testdir({ one: { file: 'one' }, two: { file: 'two' } })
  const repo = join(folder, 'repository')
  await cairn(['init', '--layout', 'pack'], { repo })
  await cairn(['store', join(folder, 'one'), '-t', 'one'], { repo })
  const stored = await cairn(['store', join(folder, 'two')], { repo })
  const lost = stored.stdout.trim()
  const told = await cairn(['gc', '--dry-run'], { repo })
  t.match(told.stdout, /^would be garbage: 3 objects/m)
  t.equal((await cairn(['show', lost], { repo })).code, 0)
  const put = await cairnJson(['gc'], { repo })
  t.match(put, { trash: { objects: 3 }, waitingFor: [], problems: [] })
  t.equal((await cairn(['show', lost], { repo })).code, 3)
  t.match((await cairn(['gc', '--undo'], { repo })).stdout, /^brought back 3 objects/)
  t.equal((await cairn(['show', lost], { repo })).code, 0)
  const freed = await cairnJson(['gc', '--now'], { repo })
  t.ok(Number(freed['freedBytes']) > 0)
  const why = await cairnJson(['gc', '--why', 'one:file'], { repo })
  t.match(why, {
    roots: [
      { kind: 'tag', name: 'one' },
      { kind: 'log', name: 'one' },
    ],
  })
  const what = await cairnJson(['gc', '--what-if-removed', 'one'], { repo })
  t.match(what, { tag: 'one', keeps: { objects: 0 } })
  t.equal((await cairn(['fsck'], { repo })).code, 0)
})

t.test('gc refuses what contradicts itself, and works on the loose layout', async t => {
  const folder = t.testdir({})
  const repo = join(folder, 'repository')
  await cairn(['init', '--layout', 'loose'], { repo })
  mkdirSync(join(folder, 'tree'))
  writeFileSync(join(folder, 'tree', 'file'), 'content')
  await cairn(['store', join(folder, 'tree')], { repo })
  t.equal((await cairn(['gc', '--dry-run', '--undo'], { repo })).code, 2)
  t.equal((await cairn(['gc', '--undo'], { repo })).code, 2)
  t.equal((await cairn(['gc', '--window', 'x'], { repo })).code, 2)
  t.match((await cairn(['gc'], { repo })).stdout, /^found to be garbage: \d objects/m)
  t.match(await cairnJson(['gc', '--dry-run'], { repo }), { waitingFor: [] })
})
