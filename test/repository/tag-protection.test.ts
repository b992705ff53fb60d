import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeRepository, storeSmallTrees } from '../support/scratch-repository.js'

t.test('keeps a protected tag where it was set, until it is overridden', async t => {
  const repository = await makeRepository(t.testdir())
  const [one, other] = await storeSmallTrees(repository, [1, 2])
  if (one === undefined || other === undefined) throw new Error('nothing was stored')
  const { tags } = repository
  await tags.protection.add('v*')
  t.match(await tags.set('v1', one), { name: 'v1', from: undefined, to: one })
  await t.rejects(tags.set('v1', other), {
    code: 'tag_protected',
    facts: { name: 'v1', pattern: 'v*', found: one.digest },
  })
  await t.rejects(tags.remove('v1'), { code: 'tag_protected' })
  t.same(await tags.get('v1'), one)
  t.equal((await tags.log('v1')).length, 1)
  await tags.set('v1', one)
  await tags.set('w1', one)
  await tags.set('w1', other)
  t.match(await tags.set('v1', other, { override: 'protection' }), {
    from: one,
    to: other,
  })
  await tags.remove('v1', { override: 'protection' })
  t.equal(await tags.find('v1'), undefined)
})

t.test('keeps its patterns in one canonical file', async t => {
  const { root, tags } = await makeRepository(t.testdir())
  const { protection } = tags
  t.same(protection.list(), [])
  t.equal(await protection.add('v*'), true)
  t.equal(await protection.add('release'), true)
  t.equal(await protection.add('v*'), false)
  const path = join(root, 'protected-tags.json')
  t.equal(readFileSync(path, 'utf8'), '{"patterns":["release","v*"]}\n')
  t.equal(await protection.remove('v*'), true)
  t.equal(await protection.remove('v*'), false)
  t.same(protection.list(), ['release'])
  await t.rejects(protection.add('a/b'), { code: 'invalid_argument' })
})

t.test('lets no tag move while it cannot tell what is protected', async t => {
  const repository = await makeRepository(t.testdir())
  const [one, other] = await storeSmallTrees(repository, [1, 2])
  if (one === undefined || other === undefined) throw new Error('nothing was stored')
  await repository.tags.set('v1', one)
  const path = join(repository.root, 'protected-tags.json')
  for (const text of ['', '[]', '{"patterns":["a/b"]}', '{"patterns":[],"more":1}']) {
    writeFileSync(path, text)
    await t.rejects(
      repository.tags.set('v1', other),
      { code: 'invalid_repository' },
      text,
    )
  }
})
