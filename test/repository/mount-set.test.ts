import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseDigest } from '../../lib/object/digest.js'
import {
  makeRepository,
  placeObject,
  storeSmallTrees,
} from '../support/scratch-repository.js'

t.test('holds each mounted application once, across openings', async t => {
  const repository = await makeRepository(t.testdir())
  const { mounts, root } = repository
  const trees = await storeSmallTrees(repository, [1, 2])
  const digests = trees.map(({ digest }) => digest).toSorted()
  t.same(await mounts.list(), [])
  for (const digest of digests) await mounts.add(digest)
  for (const digest of digests) await mounts.add(digest)
  t.same(await mounts.list(), digests)
  t.same(readdirSync(join(root, 'refs/mounts')).toSorted(), digests)
  const [first, second] = digests
  if (first === undefined) throw new Error('two trees')
  await mounts.remove(first)
  await mounts.remove(first)
  t.same(await mounts.list(), [second])
})

t.test('refuses what is absent and what is no application', async t => {
  const repository = await makeRepository(t.testdir())
  const file = placeObject(repository, 'file', Buffer.from('text'))
  await t.rejects(repository.mounts.add(file.digest), { code: 'wrong_object_type' })
  await t.rejects(repository.mounts.add(parseDigest(`0a${'00'.repeat(32)}`)), {
    code: 'object_not_found',
  })
  t.same(await repository.mounts.list(), [])
})

t.test('passes by files that are no digests', async t => {
  const repository = await makeRepository(t.testdir())
  const [tree] = await storeSmallTrees(repository, [1])
  if (tree === undefined) throw new Error('one tree')
  await repository.mounts.add(tree.digest)
  writeFileSync(join(repository.root, 'refs/mounts/notes'), '')
  t.same(await repository.mounts.list(), [tree.digest])
})
