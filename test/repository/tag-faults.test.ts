import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Descriptor, sameDescriptor } from '../../lib/object/descriptor.js'
import { parseTagName } from '../../lib/object/tag-name.js'
import { openRepository } from '../../lib/repository/open.js'
import type { Repository } from '../../lib/repository/repository.js'
import { isErrno } from '../../lib/system/errno.js'
import { startRepositoryChild } from '../support/child-process.js'
import { failingCalls } from '../support/failing-calls.js'
import { makeRepository, storeSmallTrees } from '../support/scratch-repository.js'

const isRoot = process.geteuid?.() === 0

async function twoTrees(repository: Repository): Promise<[Descriptor, Descriptor]> {
  const [first, second] = await storeSmallTrees(repository, [1, 2])
  if (first === undefined || second === undefined) throw new Error('two trees')
  return [first, second]
}

async function errorsOf(repository: Repository): Promise<string[]> {
  const messages: string[] = []
  for await (const { severity, message } of repository.check({ objects: 'all' })) {
    if (severity !== 'notice') messages.push(message)
  }
  return messages
}

/** Lets each call in turn fail once while `change` runs, until all of them succeed. */
async function failEachCall(
  root: string,
  change: (repository: Repository) => Promise<unknown>,
  examine: (failed: string) => Promise<void>,
): Promise<number> {
  for (let nth = 1; ; nth++) {
    const { calls, failed } = failingCalls(nth)
    const repository = await openRepository(root, { calls })
    try {
      await change(repository)
    } catch (error) {
      if (failed() === undefined) throw error
    }
    const name = failed()
    if (name === undefined) return nth - 1
    await examine(`${name} (call ${nth})`)
  }
}

t.test('leaves a tag old or new after every call that fails', async t => {
  const { root } = await makeRepository(t.testdir())
  const repository = await openRepository(root)
  const [old, next] = await twoTrees(repository)
  await repository.tags.set('one', old)
  const failures = await failEachCall(
    root,
    faulty => faulty.tags.set('one', next),
    async failed => {
      const current = await repository.tags.get('one')
      t.ok(sameDescriptor(current, old) || sameDescriptor(current, next), failed)
      const [latest] = await repository.tags.log('one')
      t.same(latest?.new, current, failed)
      t.same(await errorsOf(repository), [], failed)
      await repository.tags.set('one', old)
    },
  )
  t.ok(failures >= 10, `${failures} calls`)
  t.same(await repository.tags.get('one'), next)
})

t.test('makes a tag wholly or not at all when a call fails', async t => {
  const { root } = await makeRepository(t.testdir())
  const repository = await openRepository(root)
  const [tree] = await twoTrees(repository)
  const failures = await failEachCall(
    root,
    faulty => faulty.tags.set('new', tree, { expected: 'absent' }),
    async failed => {
      const current = await repository.tags.find('new')
      if (current === undefined) {
        t.same(await repository.tags.history(parseTagName('new')), [], failed)
        return
      }
      t.same(current, tree, failed)
      await repository.tags.remove('new')
    },
  )
  t.ok(failures >= 10, `${failures} calls`)
})

t.test('removes a tag or keeps it when a call fails', async t => {
  const { root } = await makeRepository(t.testdir())
  const repository = await openRepository(root)
  const [tree] = await twoTrees(repository)
  await repository.tags.set('one', tree)
  const failures = await failEachCall(
    root,
    faulty => faulty.tags.remove('one'),
    async failed => {
      const current = await repository.tags.find('one')
      if (current !== undefined) t.same(current, tree, failed)
      const [latest] = await repository.tags.log('one')
      t.same(latest?.new, current, failed)
      await repository.tags.set('one', tree)
    },
  )
  t.ok(failures >= 5, `${failures} calls`)
  t.equal(await repository.tags.find('one'), undefined)
})

t.test('keeps the remotes old or new when a call fails', async t => {
  const { root } = await makeRepository(t.testdir())
  const repository = await openRepository(root)
  await failEachCall(
    root,
    async faulty => {
      await faulty.remotes.add('origin', 'http://127.0.0.1:8080/')
    },
    async failed => {
      const names = (await repository.remotes.list()).map(({ name }) => name)
      t.ok(names.length === 0 || names.join() === 'origin', failed)
      if (names.length > 0) await repository.remotes.remove('origin')
    },
  )
  t.equal((await repository.remotes.list()).length, 1)
})

t.test('survives being killed at any moment of a change', async t => {
  const { root } = await makeRepository(t.testdir())
  const repository = await openRepository(root)
  const [first, second] = await twoTrees(repository)
  const { tags } = repository
  await tags.set('keep-1', first)
  await tags.set('keep-2', second)
  for (let round = 0; round < 6; round++) {
    const digests = [first.digest, second.digest]
    const child = startRepositoryChild(t, 'set-for-ever', root, 'one', ...digests)
    await child.line()
    // Let it come some way that differs from round to round.
    for (let turn = 0; turn < round * 5; turn++) await tags.find('one')
    await child.kill()
    const current = await tags.get('one')
    t.ok(sameDescriptor(current, first) || sameDescriptor(current, second))
    const [latest] = await tags.log('one')
    t.same(latest?.new, current)
    t.same(await errorsOf(repository), [])
    await tags.set('one', first)
    await tags.set('one', second)
  }
})

t.test('loses no change when 8 processes compare and swap one tag', async t => {
  const { root } = await makeRepository(t.testdir())
  const repository = await openRepository(root)
  const trees = await storeSmallTrees(repository, [1, 2, 3])
  const [first] = trees
  if (first === undefined) throw new Error('three trees')
  for (const [index, tree] of trees.entries())
    await repository.tags.set(`t${index}`, tree)
  await repository.tags.set('one', first)
  const digests = trees.map(({ digest }) => digest)
  const children = Array.from({ length: 8 }, () =>
    startRepositoryChild(t, 'advance', root, 'one', '20', ...digests),
  )
  await Promise.all(children.map(child => child.end()))
  const log = await repository.tags.log('one')
  t.equal(log.length, 1 + 8 * 20)
  t.same(await repository.tags.get('one'), trees[(8 * 20) % 3])
  for (const [index, { old, sequence }] of log.entries()) {
    t.equal(sequence, BigInt(log.length - index))
    t.same(old, log[index + 1]?.new)
  }
})

t.test(
  'keeps the old tag and leaves nothing half-written on a full disk',
  { skip: isRoot ? false : 'only root may mount a small filesystem' },
  async t => {
    const folder = t.testdir()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder])
    try {
      await fillAndRecover(t, folder)
    } finally {
      execFileSync('umount', ['-l', folder])
    }
  },
)

async function fillAndRecover(t: Test, folder: string): Promise<void> {
  const { root } = await makeRepository(folder)
  const repository = await openRepository(root)
  const [old, next] = await twoTrees(repository)
  await repository.tags.set('one', old)
  fill(join(folder, 'filler'))
  const full = { code: 'storage_full' }
  await t.rejects(repository.tags.set('one', next), full)
  await t.rejects(repository.tags.set('two', next), full)
  await t.rejects(repository.remotes.add('origin', 'http://127.0.0.1/'), full)
  await t.rejects(storeSmallTrees(repository, [3, 4, 5]), full)
  t.same(await repository.tags.get('one'), old)
  t.same((await repository.tags.list()).length, 1)
  t.same(await errorsOf(repository), [])
  writeFileSync(join(folder, 'filler'), '')
  await repository.tags.set('one', next)
  const [third] = await storeSmallTrees(repository, [3])
  if (third === undefined) throw new Error('one tree')
  await repository.tags.set('two', third)
  t.same(await errorsOf(repository), [])
}

function fill(path: string): void {
  for (let size = 512 * 1024; size >= 1; size = Math.floor(size / 2)) {
    try {
      writeFileSync(path, Buffer.alloc(size), { flag: 'a' })
    } catch (error) {
      if (!isErrno(error, 'ENOSPC')) throw error
    }
  }
}
