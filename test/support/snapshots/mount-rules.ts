import { existsSync, statSync } from 'node:fs'
import type { Test } from 'tap'
import type { Mount } from '../../../lib/snapshot/snapshot.js'
import { commitLayer, key, labels, type MakeSubject, type Subject } from './subject.js'

/** How each snapshot is mounted. */
export async function testMounts(t: Test, make: MakeSubject): Promise<void> {
  await t.test('gives the mounts that the contract names', async t => {
    const subject = await make(t)
    const { snapshotter, driver } = subject
    const bare = await snapshotter.prepare(key('bare'))
    const emptyView = await snapshotter.view(key('empty view'))
    await commitLayer(subject, { name: 'A' })
    await commitLayer(subject, { name: 'B', parent: 'A' })
    const active = await snapshotter.prepare(key('active'), { parent: key('B') })
    const first = await snapshotter.view(key('first'), { parent: key('A') })
    const second = await snapshotter.view(key('second'), { parent: key('B') })
    for (const mounts of [bare, emptyView, active, first, second]) {
      t.equal(mounts.length, 1)
      t.equal(mounts[0]?.target, '')
    }
    t.match(bare, [{ type: 'bind', options: ['rw', 'rbind'] }])
    t.match(emptyView, [{ type: 'bind', options: ['ro', 'rbind'] }])
    t.match(first, [{ type: 'bind', options: ['ro', 'rbind'] }])
    if (driver === 'native') {
      t.match(active, [{ type: 'bind', options: ['rw', 'rbind'] }])
      t.match(second, [{ type: 'bind', options: ['ro', 'rbind'] }])
    } else checkOverlays(t, subject, { active, second, first })
    for (const { source } of [bare, emptyView, first].flat()) t.ok(statSync(source))
  })

  await t.test('gives the same mounts after it was opened again', async t => {
    const subject = await make(t)
    await commitLayer(subject, { name: 'A' })
    await commitLayer(subject, { name: 'B', parent: 'A' })
    const before = new Map<string, readonly Mount[]>()
    for (const parent of ['', 'A', 'B']) {
      for (const call of ['prepare', 'view'] as const) {
        const name = `${call} ${parent}`
        const made = await subject.snapshotter[call](key(name), { parent: key(parent) })
        before.set(name, made)
      }
    }
    const again = await subject.reopen()
    for (const [name, mounts] of before)
      t.same(await again.mounts(key(name)), mounts, name)
    t.match(await again.stat(key('prepare B')), { parent: 'B', kind: 'active' })
  })

  await t.test('asks for id-mapped mounts where labels say so', async t => {
    const subject = await make(t)
    const { snapshotter } = subject
    await commitLayer(subject, { name: 'A' })
    const mapping = labels({
      'containerd.io/snapshot/uidmapping': '0:100000:65536',
      'containerd.io/snapshot/gidmapping': '0:200000:65536',
    })
    const options = { parent: key('A'), labels: mapping }
    const mounts = await snapshotter.prepare(key('a'), options)
    t.match(mounts[0]?.options.slice(0, 2), [
      'uidmap=0:100000:65536',
      'gidmap=0:200000:65536',
    ])
    const upper = mounts[0]?.options.find(option => option.startsWith('upperdir='))
    const own = upper?.slice('upperdir='.length) ?? mounts[0]?.source ?? ''
    t.match(statSync(own), { uid: 100_000, gid: 200_000 })
    for (const bad of ['', '1:2', '5:1000:10', '0:x:1', '0:0:0', '0:4294967295:2']) {
      const wrong = new Map([...mapping, ['containerd.io/snapshot/uidmapping', bad]])
      await t.rejects(
        snapshotter.prepare(key('b'), { labels: wrong }),
        { code: 'invalid_argument' },
        bad,
      )
    }
  })
}

function checkOverlays(
  t: Test,
  { root }: Subject,
  mounts: Readonly<Record<'active' | 'second' | 'first', readonly Mount[]>>,
): void {
  const lowest = mounts.first[0]?.source ?? ''
  const [active, view] = [mounts.active[0], mounts.second[0]].map(mount => ({
    type: mount?.type,
    source: mount?.source,
    options: mount?.options ?? [],
  }))
  t.match(active, { type: 'overlay', source: 'overlay' })
  t.match(view, { type: 'overlay', source: 'overlay' })
  const option = (mount: typeof active, name: string) =>
    mount?.options.find(text => text.startsWith(`${name}=`))?.slice(name.length + 1)
  const lower = option(active, 'lowerdir')?.split(':') ?? []
  t.equal(lower.length, 2)
  t.equal(lower[1], lowest, 'the lowest layer comes last')
  t.equal(option(view, 'lowerdir'), lower.join(':'))
  t.equal(option(view, 'upperdir'), undefined)
  t.equal(option(view, 'workdir'), undefined)
  for (const folder of [
    option(active, 'upperdir'),
    option(active, 'workdir'),
    ...lower,
  ]) {
    t.ok(folder?.startsWith(`${root}/s/`) && existsSync(folder), String(folder))
  }
  const index = existsSync('/sys/module/overlay/parameters/index') ? ['index=off'] : []
  t.same(
    active?.options.map(text => text.split('=')[0]),
    [...index.map(() => 'index'), 'workdir', 'upperdir', 'lowerdir'],
  )
  t.same(
    view?.options.map(text => text.split('=')[0]),
    [...index.map(() => 'index'), 'lowerdir'],
  )
}
