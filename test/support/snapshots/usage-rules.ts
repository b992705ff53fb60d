import { linkSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { commitLayer, key, type MakeSubject, mounted } from './subject.js'

/** What snapshots take on disk, and how that is freed. Needs the right to mount. */
export async function testUsage(t: Test, make: MakeSubject): Promise<void> {
  await t.test('counts an active snapshot as it is now', async t => {
    const subject = await make(t)
    const { snapshotter } = subject
    const mounts = await snapshotter.prepare(key('a'))
    const before = await snapshotter.usage(key('a'))
    t.equal(before.inodes, 1, 'the root')
    await mounted(subject, mounts, root => {
      writeFileSync(join(root, 'f'), Buffer.alloc(1_000_000, 'x'))
      linkSync(join(root, 'f'), join(root, 'g'))
      mkdirSync(join(root, 'd'))
    })
    const after = await snapshotter.usage(key('a'))
    t.equal(after.inodes, 3, 'one for a file of two names')
    t.ok(after.size - before.size >= 1_000_000)
    t.ok(after.size - before.size < 1_100_000)
  })

  await t.test('keeps what a snapshot took when it was committed', async t => {
    const subject = await make(t)
    const { snapshotter } = subject
    await commitLayer(subject, { name: 'A', change: fill('a', 500_000) })
    await commitLayer(subject, { name: 'B', parent: 'A', change: fill('b', 100_000) })
    const [a, b] = [await snapshotter.usage(key('A')), await snapshotter.usage(key('B'))]
    t.equal(a.inodes, 2)
    t.ok(a.size >= 500_000 && a.size < 520_000)
    const whole = subject.driver === 'native'
    t.equal(b.inodes, whole ? 3 : 2, 'parents are not counted')
    t.ok(whole ? b.size >= 600_000 : b.size < 120_000)
    const again = await subject.reopen()
    t.same(await again.usage(key('A')), a)
    t.same(await again.usage(key('B')), b)
  })

  await t.test('counts nothing for a view', async t => {
    const subject = await make(t)
    await commitLayer(subject, { name: 'A', change: root => mkdirSync(join(root, 'd')) })
    await subject.snapshotter.view(key('v'), { parent: key('A') })
    await subject.snapshotter.view(key('w'))
    t.same(await subject.snapshotter.usage(key('v')), { size: 0, inodes: 0 })
    t.same(await subject.snapshotter.usage(key('w')), { size: 0, inodes: 0 })
  })

  await t.test('frees what was removed', async t => {
    const subject = await make(t)
    const { snapshotter, root } = subject
    await commitLayer(subject, {
      name: 'A',
      change: folder => {
        mkdirSync(join(folder, 'd'))
        writeFileSync(join(folder, 'd/f'), 'x')
      },
    })
    await snapshotter.prepare(key('b'), { parent: key('A') })
    t.equal(readdirSync(join(root, 's')).length, 2)
    await snapshotter.remove(key('b'))
    await snapshotter.remove(key('A'))
    await snapshotter.cleanup()
    t.same(readdirSync(join(root, 's')), [])
    t.same(readdirSync(join(root, 'trash')), [])
  })

  await t.test('frees folders that belong to no snapshot', async t => {
    const { snapshotter, root } = await make(t)
    await snapshotter.prepare(key('a'))
    mkdirSync(join(root, 's/900/fs/deep'), { recursive: true })
    await snapshotter.cleanup()
    t.same(readdirSync(join(root, 's')), ['1'])
    t.ok(await snapshotter.mounts(key('a')))
  })
}

function fill(name: string, bytes: number): (root: string) => void {
  return root => writeFileSync(join(root, name), Buffer.alloc(bytes, 'x'))
}
