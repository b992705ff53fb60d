import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Repository } from '../../lib/repository/repository.js'
import { type RootOptions, rootDigest } from '../../lib/repository/roots.js'
import {
  makeRepository,
  storeSmallTree,
  storeSmallTrees,
} from '../support/scratch-repository.js'

const day = 24 * 60 * 60 * 1000

async function rootsOf(repository: Repository, options: RootOptions = {}) {
  const roots: string[] = []
  for await (const root of repository.roots(options)) {
    roots.push(`${root.kind} ${rootDigest(root)}`)
  }
  return new Set(roots)
}

t.test('are tags, past values of tags, also of removed ones, and mounts', async t => {
  const repository = await makeRepository(t.testdir())
  const [first, second, third] = await storeSmallTrees(repository, [1, 2, 3])
  if (!first || !second || !third) throw new Error('three trees')
  t.same(await rootsOf(repository), new Set())
  await repository.tags.set('one', first)
  await repository.tags.set('one', second)
  await repository.tags.set('gone', third)
  await repository.tags.remove('gone')
  await repository.mounts.add(first.digest)
  t.same(
    await rootsOf(repository),
    new Set([
      `tag ${second.digest}`,
      `log ${first.digest}`,
      `log ${second.digest}`,
      `log ${third.digest}`,
      `mount ${first.digest}`,
    ]),
  )
})

t.test('keep the last 10 entries of a log, and all within the window', async t => {
  const repository = await makeRepository(t.testdir())
  const numbers = Array.from({ length: 15 }, (_, index) => index)
  const trees = await storeSmallTrees(repository, numbers)
  for (const tree of trees) await repository.tags.set('one', tree)
  t.equal((await rootsOf(repository)).size, 16)
  const later = { now: Date.now() + 31 * day }
  const kept = await rootsOf(repository, later)
  // Ten entries name ten trees, and the oldest of them what it replaced.
  t.equal(kept.size, 12)
  t.notOk(kept.has(`log ${trees[3]?.digest}`))
  t.ok(kept.has(`log ${trees[4]?.digest}`))
  t.equal((await rootsOf(repository, { ...later, window: 32 * day })).size, 16)
})

t.test('cannot be told when a tag or a log cannot be read', async t => {
  const repository = await makeRepository(t.testdir())
  const { root, tags } = repository
  await tags.set('one', await storeSmallTree(repository, 1))
  await tags.set('one', await storeSmallTree(repository, 2))
  const log = join(root, 'logs/tags/one')
  const bytes = readFileSync(log)
  bytes.writeUInt8(bytes.readUInt8(9) ^ 1, 9)
  writeFileSync(log, bytes)
  await t.rejects(rootsOf(repository), { code: 'invalid_tag_file', facts: { path: log } })
  const tag = join(root, 'refs/tags/one')
  writeFileSync(tag, '')
  await t.rejects(rootsOf(repository), { code: 'invalid_tag_file', facts: { path: tag } })
})
