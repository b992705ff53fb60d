import type { Test } from 'tap'
import { key, type MakeSubject, walkAll } from './subject.js'

/** Calls at the same time: one of those that exclude each other succeeds. */
export async function testRaces(t: Test, make: MakeSubject): Promise<void> {
  await t.test('lets one of many prepare a key', async t => {
    const { snapshotter } = await make(t)
    const results = await Promise.allSettled(
      Array.from({ length: 32 }, () => snapshotter.prepare(key('same'))),
    )
    t.same(countOutcomes(results), { done: 1, snapshot_exists: 31 })
  })

  await t.test(
    'lets one of many commit to a name, and the others stay active',
    async t => {
      const { snapshotter } = await make(t)
      const keys = Array.from({ length: 16 }, (_, index) => key(`k${index}`))
      await Promise.all(keys.map(each => snapshotter.prepare(each)))
      const results = await Promise.allSettled(
        keys.map(each => snapshotter.commit(key('name'), each)),
      )
      t.same(countOutcomes(results), { done: 1, snapshot_exists: 15 })
      t.equal((await walkAll(snapshotter, ['kind==active'])).length, 15)
      t.equal((await walkAll(snapshotter, ['kind==committed'])).length, 1)
    },
  )

  await t.test('lets one of many remove a key', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('same'))
    const results = await Promise.allSettled(
      Array.from({ length: 16 }, () => snapshotter.remove(key('same'))),
    )
    t.same(countOutcomes(results), { done: 1, snapshot_not_found: 15 })
  })

  await t.test('never makes a child of what is removed', async t => {
    const { snapshotter } = await make(t)
    for (let round = 0; round < 20; round++) {
      const [parent, child] = [key(`P${round}`), key(`c${round}`)]
      await snapshotter.prepare(key('work'))
      await snapshotter.commit(parent, key('work'))
      const calls = [
        () => snapshotter.remove(parent),
        () => snapshotter.prepare(child, { parent }),
      ]
      if (round % 2 === 0) calls.reverse()
      const results = await Promise.allSettled(calls.map(async call => await call()))
      t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    }
    const infos = await walkAll(snapshotter)
    const names = new Set(infos.map(({ name }) => name))
    t.ok(infos.every(({ parent }) => parent === '' || names.has(parent)))
  })

  await t.test('lets different keys change at the same time', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('work'))
    await snapshotter.commit(key('base'), key('work'))
    const numbers = Array.from({ length: 40 }, (_, index) => index)
    await Promise.all(
      numbers.map(async number => {
        const active = key(`active ${number}`)
        await snapshotter.prepare(active, { parent: key('base') })
        await snapshotter.commit(key(`name ${number}`), active)
        if (number % 2 === 0) await snapshotter.remove(key(`name ${number}`))
      }),
    )
    t.equal((await walkAll(snapshotter, ['parent==base'])).length, 20)
  })

  await t.test('ends a call that is given up', async t => {
    const { snapshotter } = await make(t)
    await t.rejects(
      snapshotter.prepare(key('a'), { signal: AbortSignal.abort(new Error('given up')) }),
      { message: 'given up' },
    )
    t.same(await walkAll(snapshotter), [])
  })
}

function countOutcomes(
  results: readonly PromiseSettledResult<unknown>[],
): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const result of results) {
    const outcome =
      result.status === 'fulfilled' ? 'done' : (result.reason as { code: string }).code
    counts[outcome] = (counts[outcome] ?? 0) + 1
  }
  return counts
}
