import { chmodSync, existsSync, readdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { acquireLock } from '../../lib/repository/lock.js'
import { repositoryPaths } from '../../lib/repository/repository-paths.js'
import { startChild, startRepositoryChild } from '../support/child-process.js'
import { asOrdinaryUser } from '../support/ordinary-user.js'
import { makeRepository } from '../support/scratch-repository.js'

const now = { wait: 0 }
const busy = { code: 'lock_busy' }
const hasFlock = existsSync('/usr/bin/flock')

/** Descriptors that this process has open on a path. */
function openDescriptors(path: string): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return realpathSync(join('/proc/self/fd', fd)) === path
    } catch {
      // The descriptor of the listing itself.
      return false
    }
  }).length
}

t.test('is held by one exclusively or by many together', async t => {
  const { root } = await makeRepository(t.testdir())
  const paths = repositoryPaths(root)
  const one = await acquireLock(paths, 'shared', now)
  const other = await acquireLock(paths, 'shared', now)
  await t.rejects(acquireLock(paths, 'exclusive', now), {
    ...busy,
    facts: { path: root, lock: 'exclusive lock' },
  })
  await one[Symbol.asyncDispose]()
  await t.rejects(acquireLock(paths, 'exclusive', now), busy)
  await other[Symbol.asyncDispose]()
  const alone = await acquireLock(paths, 'exclusive', now)
  await t.rejects(acquireLock(paths, 'shared', now), busy)
  await alone[Symbol.asyncDispose]()
  await using again = await acquireLock(paths, 'shared', now)
  t.ok(again.held)
})

t.test('is let go of once, however often it is disposed', async t => {
  const { root } = await makeRepository(t.testdir())
  const paths = repositoryPaths(root)
  const lock = await acquireLock(paths, 'exclusive', now)
  await lock[Symbol.asyncDispose]()
  t.notOk(lock.held)
  // A later lock may get the number of the descriptor that the first one had.
  await using later = await acquireLock(paths, 'exclusive', now)
  await lock[Symbol.asyncDispose]()
  t.ok(later.held)
  await t.rejects(acquireLock(paths, 'shared', now), busy)
})

t.test('leaves no descriptor open, whether it was taken or not', async t => {
  const { root } = await makeRepository(t.testdir())
  const paths = repositoryPaths(root)
  const lock = await acquireLock(paths, 'exclusive', now)
  await t.rejects(acquireLock(paths, 'shared', now), busy)
  await t.rejects(acquireLock(paths, 'exclusive', now), busy)
  t.equal(openDescriptors(root), 1)
  t.equal(openDescriptors(paths.gate), 0)
  await lock[Symbol.asyncDispose]()
  t.equal(openDescriptors(root), 0)
})

t.test('keeps other processes out, and is kept out by them', async t => {
  const { root } = await makeRepository(t.testdir())
  const paths = repositoryPaths(root)
  for (const mode of ['shared', 'exclusive'] as const) {
    const child = startRepositoryChild(t, 'lock', root, mode)
    t.equal(await child.line(), mode)
    await t.rejects(acquireLock(paths, 'exclusive', now), busy)
    const shared = acquireLock(paths, 'shared', now)
    if (mode === 'exclusive') await t.rejects(shared, busy)
    else await (await shared)[Symbol.asyncDispose]()
    child.release()
    await child.end()
    await (await acquireLock(paths, 'exclusive', now))[Symbol.asyncDispose]()
  }
})

t.test('ends with a process that is killed', async t => {
  const { root } = await makeRepository(t.testdir())
  const child = startRepositoryChild(t, 'lock', root, 'exclusive')
  await child.line()
  await child.kill()
  const lock = await acquireLock(repositoryPaths(root), 'exclusive')
  await lock[Symbol.asyncDispose]()
})

t.test(
  'means to flock(1) what it means to us',
  { skip: hasFlock ? false : 'no flock tool' },
  async t => {
    const { root } = await makeRepository(t.testdir())
    const paths = repositoryPaths(root)
    const command = ['-n', root, 'sh', '-c', 'echo held; cat']
    const holder = startChild(t, 'flock', ['-x', ...command])
    t.equal(await holder.line(), 'held')
    await t.rejects(acquireLock(paths, 'shared', now), busy)
    holder.release()
    await holder.end()
    const lock = await acquireLock(paths, 'shared')
    const reader = startChild(t, 'flock', ['-s', ...command])
    t.equal(await reader.line(), 'held')
    reader.release()
    await reader.end()
    await t.rejects(startChild(t, 'flock', ['-x', '-n', root, 'true']).end())
    await lock[Symbol.asyncDispose]()
    await startChild(t, 'flock', ['-x', '-n', root, 'true']).end()
  },
)

t.test('is waited for without blocking the event loop', async t => {
  const { root } = await makeRepository(t.testdir())
  const paths = repositoryPaths(root)
  const first = await acquireLock(paths, 'exclusive')
  let taken = false
  const second = acquireLock(paths, 'exclusive').then(lock => {
    taken = true
    return lock
  })
  for (let turn = 0; turn < 100; turn++) await nextTurn()
  t.notOk(taken)
  await first[Symbol.asyncDispose]()
  await (await second)[Symbol.asyncDispose]()
  t.ok(taken)
})

t.test('is given up for after the time that the caller names', async t => {
  const { root } = await makeRepository(t.testdir())
  const paths = repositoryPaths(root)
  await using lock = await acquireLock(paths, 'exclusive')
  const start = performance.now()
  await t.rejects(acquireLock(paths, 'shared', { wait: 60 }), {
    ...busy,
    message: /shared lock on .* is busy after 60 ms/,
  })
  t.ok(performance.now() - start >= 55)
  t.ok(lock.held)
})

t.test('is given up for when the signal says so', async t => {
  const { root } = await makeRepository(t.testdir())
  const paths = repositoryPaths(root)
  await using lock = await acquireLock(paths, 'exclusive')
  t.ok(lock.held)
  const reason = new Error('enough')
  await t.rejects(
    acquireLock(paths, 'shared', { signal: AbortSignal.abort(reason) }),
    reason,
  )
  const controller = new AbortController()
  const waiting = acquireLock(paths, 'shared', { signal: controller.signal })
  await nextTurn()
  controller.abort(reason)
  await t.rejects(waiting, reason)
  t.equal(openDescriptors(root), 1)
})

t.test('is not starved of exclusive use by readers that overlap', async t => {
  const { root } = await makeRepository(t.testdir())
  const paths = repositoryPaths(root)
  const state = { finished: false, readings: 0 }
  const read = async (): Promise<void> => {
    while (!state.finished) {
      await using lock = await acquireLock(paths, 'shared')
      if (lock.held) state.readings++
      for (let turn = 0; turn < 50; turn++) await nextTurn()
    }
  }
  const readers = Array.from({ length: 8 }, read)
  while (state.readings < 50) await nextTurn()
  await using lock = await acquireLock(paths, 'exclusive', { wait: 10_000 })
  t.ok(lock.held)
  state.finished = true
  await lock[Symbol.asyncDispose]()
  await Promise.all(readers)
})

t.test('lets readers in who may not write and find no gate', async t => {
  const { root } = await makeRepository(t.testdir())
  const paths = repositoryPaths(root)
  await asOrdinaryUser(root, async () => {
    chmodSync(root, 0o500)
    const lock = await acquireLock(paths, 'shared', now)
    await lock[Symbol.asyncDispose]()
    await t.rejects(acquireLock(paths, 'exclusive', now), {
      code: 'access_refused',
      facts: { path: paths.gate },
    })
  })
})
