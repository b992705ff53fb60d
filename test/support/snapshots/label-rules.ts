import type { Test } from 'tap'
import type { SnapshotInfo } from '../../../lib/snapshot/snapshot.js'
import { wallClock } from '../../../lib/system/clock.js'
import { key, labels, type MakeSubject, walkAll } from './subject.js'

/** What changes labels and times, and what does not. */
export async function testLabels(t: Test, make: MakeSubject): Promise<void> {
  await t.test('keeps labels as they come, but for empty values', async t => {
    const { snapshotter } = await make(t)
    const given = {
      'containerd.io/snapshot.ref': 'sha256:12',
      __proto__x: 'x',
      constructor: 'y',
      'ü/ö': ' "\n',
      empty: '',
      long: 'v'.repeat(10_000),
    }
    await snapshotter.prepare(key('a'), {
      labels: new Map([...labels(given), ['__proto__', 'z']]),
    })
    const { empty: _, ...kept } = given
    const found = (await snapshotter.stat(key('a'))).labels
    const expected = new Map([...labels(kept), ['__proto__', 'z']])
    t.equal(found.size, expected.size)
    for (const [name, value] of expected) t.equal(found.get(name), value, name)
    await t.rejects(snapshotter.prepare(key('b'), { labels: new Map([['', 'x']]) }), {
      code: 'invalid_argument',
    })
  })

  await t.test(
    'hands labels down neither from parent to child nor to a name',
    async t => {
      const { snapshotter } = await make(t)
      await snapshotter.prepare(key('a'), { labels: labels({ of: 'active' }) })
      await snapshotter.commit(key('A'), key('a'), { labels: labels({ of: 'commit' }) })
      await snapshotter.prepare(key('b'), { parent: key('A') })
      t.same((await snapshotter.stat(key('A'))).labels, labels({ of: 'commit' }))
      t.same((await snapshotter.stat(key('b'))).labels, labels({}))
      await snapshotter.commit(key('B'), key('b'))
      t.same((await snapshotter.stat(key('B'))).labels, labels({}))
    },
  )

  await t.test('updates all labels, or those that are named', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('a'), { labels: labels({ one: '1', two: '2' }) })
    const update = async (
      given: Readonly<Record<string, string>>,
      ...paths: readonly string[]
    ) => {
      const info = await snapshotter.update(key('a'), labels(given), { paths })
      return Object.fromEntries(info.labels)
    }
    t.same(
      await update({ three: '3', one: 'no' }, 'labels.three'),
      {
        one: '1',
        two: '2',
        three: '3',
      },
      'merges one',
    )
    t.same(
      await update({ two: 'II' }, 'labels.two', 'labels.one', 'labels.none'),
      {
        two: 'II',
        three: '3',
      },
      'removes what has no value',
    )
    t.same(
      await update({ 'a.b/c': 'x', two: '' }, 'labels.a.b/c', 'labels.two'),
      {
        three: '3',
        'a.b/c': 'x',
      },
      'cuts off the first word alone',
    )
    t.same(await update({ four: '4' }, 'labels'), { four: '4' }, 'replaces all')
    t.same(await update({ five: '5' }), { five: '5' }, 'replaces all without paths')
    t.same((await snapshotter.stat(key('a'))).labels, labels({ five: '5' }))
  })

  await t.test(
    'refuses to update anything but labels, and changes nothing then',
    async t => {
      const { snapshotter } = await make(t)
      await snapshotter.prepare(key('a'), { labels: labels({ one: '1' }) })
      const before = await snapshotter.stat(key('a'))
      for (const path of [
        'parent',
        'kind',
        'name',
        'created_at',
        '',
        'Labels',
        'labels.',
      ]) {
        const paths = ['labels.one', path]
        const given = new Map([
          ['one', 'new'],
          ['', 'x'],
        ])
        await t.rejects(
          snapshotter.update(key('a'), given, { paths }),
          { code: 'invalid_argument' },
          path,
        )
      }
      t.same(await snapshotter.stat(key('a')), before)
    },
  )

  await t.test('tells times to the nanosecond, never outside of the call', async t => {
    const { snapshotter } = await make(t)
    const timed = async (name: string, action: () => Promise<unknown>) => {
      const before = wallClock()
      await action()
      const after = wallClock()
      const info = await snapshotter.stat(key(name))
      t.ok(before <= info.updated && info.updated <= after, name)
      return info
    }
    const same = (info: SnapshotInfo) => t.equal(info.created, info.updated)
    same(await timed('a', () => snapshotter.prepare(key('a'))))
    same(await timed('A', () => snapshotter.commit(key('A'), key('a'))))
    const made = await timed('b', () =>
      snapshotter.prepare(key('b'), { parent: key('A') }),
    )
    same(made)
    same(await timed('v', () => snapshotter.view(key('v'), { parent: key('A') })))
    const updated = await timed('b', () =>
      snapshotter.update(key('b'), labels({ x: 'y' })),
    )
    t.match(updated, { kind: 'active', parent: 'A', name: 'b', created: made.created })
    t.not(updated.updated, made.updated)
    t.not(updated.updated % 1_000_000n, 0n, 'finer than milliseconds')
  })

  await t.test('tells the same in a walk as of each', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('a'), { labels: labels({ x: 'y' }) })
    await snapshotter.commit(key('A'), key('a'), { labels: labels({ z: '1' }) })
    await snapshotter.prepare(key('b'), { parent: key('A') })
    await snapshotter.view(key('v'), { parent: key('A') })
    let count = 0
    for await (const batch of snapshotter.walk()) {
      for (const info of batch) {
        // Asked while the walk goes on.
        t.same(await snapshotter.stat(info.name), info)
        count += 1
      }
    }
    t.equal(count, 3)
  })

  await t.test('walks thousands in batches of a hundred at most', async t => {
    const { snapshotter } = await make(t)
    const names = Array.from({ length: 250 }, (_, index) => key(`k${index}`))
    await Promise.all(names.map(name => snapshotter.view(name)))
    const sizes = []
    for await (const batch of snapshotter.walk()) sizes.push(batch.length)
    t.ok(sizes.every(size => size <= 100))
    t.equal((await walkAll(snapshotter)).length, 250)
    const found = snapshotter.walk()
    for await (const batch of found) {
      t.equal(batch.length, 100)
      break
    }
  })
}
