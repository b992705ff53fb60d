import type { Test } from 'tap'
import { key, labels, type MakeSubject, walkAll } from './subject.js'

/** Which calls each kind of snapshot takes, and how the others are refused. */
export async function testKinds(t: Test, make: MakeSubject): Promise<void> {
  await t.test('tells of an active snapshot', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('active'))
    const info = await snapshotter.stat(key('active'))
    t.match(info, { name: 'active', parent: '', kind: 'active' })
    t.equal(info.labels.size, 0)
  })

  await t.test(
    'makes a committed snapshot of an active one, whose key is free',
    async t => {
      const { snapshotter } = await make(t)
      await snapshotter.prepare(key('active'))
      await snapshotter.commit(key('committed'), key('active'))
      t.match(await snapshotter.stat(key('committed')), { kind: 'committed', parent: '' })
      await t.rejects(snapshotter.stat(key('active')), { code: 'snapshot_not_found' })
      await snapshotter.prepare(key('active'), { parent: key('committed') })
      t.match(await snapshotter.stat(key('active')), { parent: 'committed' })
    },
  )

  await t.test('keeps the parents along a chain', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('a'))
    await snapshotter.commit(key('A'), key('a'))
    await snapshotter.prepare(key('b'), { parent: key('A') })
    await snapshotter.commit(key('B'), key('b'))
    await snapshotter.view(key('v'), { parent: key('B') })
    t.equal((await snapshotter.stat(key('B'))).parent, 'A')
    t.equal((await snapshotter.stat(key('A'))).parent, '')
    t.match(await snapshotter.stat(key('v')), { parent: 'B', kind: 'view' })
  })

  await t.test('refuses a key that any snapshot has', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('active'))
    await snapshotter.view(key('view'))
    await snapshotter.prepare(key('more'))
    await snapshotter.commit(key('committed'), key('more'))
    for (const taken of ['active', 'view', 'committed'].map(key)) {
      await t.rejects(snapshotter.prepare(taken), { code: 'snapshot_exists' })
      await t.rejects(snapshotter.view(taken), { code: 'snapshot_exists' })
      await t.rejects(snapshotter.commit(taken, key('active')), {
        code: 'snapshot_exists',
      })
    }
    t.equal((await snapshotter.stat(key('active'))).kind, 'active')
    t.equal((await walkAll(snapshotter)).length, 3)
  })

  await t.test(
    'refuses an empty key for a new snapshot, and finds none of it',
    async t => {
      const { snapshotter } = await make(t)
      await t.rejects(snapshotter.prepare(key('')), { code: 'invalid_argument' })
      await t.rejects(snapshotter.view(key('')), { code: 'invalid_argument' })
      await snapshotter.prepare(key('active'))
      await t.rejects(snapshotter.commit(key(''), key('active')), {
        code: 'invalid_argument',
      })
      for (const call of ['stat', 'usage', 'mounts', 'remove'] as const) {
        for (const name of ['', 'none'].map(key)) {
          const ask = async (): Promise<void> => {
            await snapshotter[call](name)
          }
          await t.rejects(ask, { code: 'snapshot_not_found' }, `${call} ${name}`)
        }
      }
      await t.rejects(snapshotter.update(key('none'), labels({})), {
        code: 'snapshot_not_found',
      })
    },
  )

  await t.test('takes only committed snapshots as parents', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('active'))
    await snapshotter.view(key('view'))
    for (const call of ['prepare', 'view'] as const) {
      for (const parent of ['active', 'view'].map(key)) {
        await t.rejects(snapshotter[call](key('new'), { parent }), {
          code: 'invalid_argument',
        })
      }
      // The parent is looked at before the key.
      await t.rejects(snapshotter[call](key('active'), { parent: key('none') }), {
        code: 'snapshot_not_found',
      })
    }
    t.equal((await walkAll(snapshotter)).length, 2)
  })

  await t.test(
    'commits only active snapshots, and changes nothing otherwise',
    async t => {
      const { snapshotter } = await make(t)
      await snapshotter.prepare(key('first'))
      await snapshotter.commit(key('committed'), key('first'))
      await snapshotter.view(key('view'))
      await snapshotter.prepare(key('active'))
      const refusals = [
        ['new', 'none', 'snapshot_not_found'],
        ['committed', 'none', 'snapshot_not_found'],
        ['new', 'view', 'wrong_snapshot_kind'],
        ['new', 'committed', 'wrong_snapshot_kind'],
        ['committed', 'view', 'snapshot_exists'],
        ['committed', 'active', 'snapshot_exists'],
        ['active', 'active', 'snapshot_exists'],
        ['view', 'active', 'snapshot_exists'],
      ] as const
      for (const [name, from, code] of refusals) {
        await t.rejects(
          snapshotter.commit(key(name), key(from)),
          { code },
          `${name} ${from}`,
        )
      }
      const kinds = (await walkAll(snapshotter)).map(
        ({ name, kind }) => `${name} ${kind}`,
      )
      t.same(kinds, ['active active', 'committed committed', 'view view'])
    },
  )

  await t.test('gives mounts of what can be mounted alone', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('active'))
    await snapshotter.commit(key('committed'), key('active'))
    await t.rejects(snapshotter.mounts(key('committed')), { code: 'wrong_snapshot_kind' })
  })

  await t.test('removes what has no children, and frees the key at once', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.prepare(key('a'))
    await snapshotter.commit(key('A'), key('a'))
    await snapshotter.prepare(key('child'), { parent: key('A') })
    await t.rejects(snapshotter.remove(key('A')), {
      code: 'snapshot_in_use',
      message: /remove/,
    })
    await snapshotter.remove(key('child'))
    await snapshotter.view(key('child'), { parent: key('A') })
    await t.rejects(snapshotter.remove(key('A')), { code: 'snapshot_in_use' })
    await snapshotter.remove(key('child'))
    await snapshotter.prepare(key('child'), { parent: key('A') })
    await snapshotter.remove(key('child'))
    await snapshotter.remove(key('A'))
    await t.rejects(snapshotter.stat(key('A')), { code: 'snapshot_not_found' })
    await snapshotter.prepare(key('a'))
    await snapshotter.commit(key('A'), key('a'))
    t.equal((await snapshotter.stat(key('A'))).kind, 'committed')
  })

  await t.test('keeps the middle of a chain until what is above it is gone', async t => {
    const { snapshotter } = await make(t)
    let parent = key('')
    for (const name of ['one', 'two', 'three'].map(key)) {
      await snapshotter.prepare(key('work'), { parent })
      await snapshotter.commit(name, key('work'))
      parent = name
    }
    await t.rejects(snapshotter.remove(key('two')), { code: 'snapshot_in_use' })
    await t.rejects(snapshotter.remove(key('one')), { code: 'snapshot_in_use' })
    for (const name of ['three', 'two', 'one'].map(key)) await snapshotter.remove(name)
    t.same(await walkAll(snapshotter), [])
  })

  await t.test('gives a parent at commit only to what has none', async t => {
    const { snapshotter, driver } = await make(t)
    for (const name of ['A', 'B']) {
      await snapshotter.prepare(key('work'))
      await snapshotter.commit(key(name), key('work'))
    }
    await snapshotter.prepare(key('free'))
    await snapshotter.prepare(key('bound'), { parent: key('A') })
    const commit = (from: string, parent: string) =>
      snapshotter.commit(key('new'), key(from), { parent: key(parent) })
    await t.rejects(commit('bound', 'B'), { code: 'invalid_argument' })
    await t.rejects(commit('free', 'none'), { code: 'snapshot_not_found' })
    await t.rejects(commit('free', 'bound'), { code: 'wrong_snapshot_kind' })
    if (driver === 'native') {
      await t.rejects(commit('free', 'A'), { code: 'invalid_argument' })
    } else {
      await commit('free', 'A')
      t.equal((await snapshotter.stat(key('new'))).parent, 'A')
      await t.rejects(snapshotter.remove(key('A')), { code: 'snapshot_in_use' })
      await snapshotter.remove(key('new'))
    }
    await commit('bound', 'A')
    t.equal((await snapshotter.stat(key('new'))).parent, 'A')
  })

  await t.test('takes any bytes as a key', async t => {
    const { snapshotter } = await make(t)
    const odd = [
      'e2e/12/sha256:b801',
      'e2e/1/extract-223473631-ByGC sha256:2cc3',
      '__proto__',
      '../../up',
      '.',
      'Ä\u0000ö\n',
      'n'.repeat(5000),
    ].map(key)
    for (const name of odd) {
      await snapshotter.prepare(name)
      t.equal((await snapshotter.stat(name)).name, name)
    }
    const names = (await walkAll(snapshotter)).map(({ name }) => name)
    t.same(
      names,
      odd.toSorted((a, b) => (a < b ? -1 : 1)),
    )
    for (const name of odd) await snapshotter.remove(name)
    t.same(await walkAll(snapshotter), [])
  })

  await t.test('closes twice', async t => {
    const { snapshotter } = await make(t)
    await snapshotter.close()
    await snapshotter.close()
  })
}
