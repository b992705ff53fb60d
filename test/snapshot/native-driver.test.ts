import { execFileSync, spawnSync } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openSnapshotter } from '../../lib/snapshot/open-snapshotter.js'
import { unmount } from '../../lib/system/mount.js'
import { sameTrees } from '../support/compare-trees.js'
import { makeHardTree } from '../support/hard-tree.js'
import { key } from '../support/snapshots/subject.js'

const skip = process.getuid?.() === 0 ? false : 'only root can make every kind of entry'

t.test('copies whatever a tree can hold', { skip }, async t => {
  const folder = t.testdir({})
  const root = join(folder, 'root')
  await using snapshotter = await openSnapshotter(root, {
    driver: 'native',
    contentSync: 'none',
  })
  const [below] = await snapshotter.prepare(key('a'))
  const source = below?.source ?? ''
  rmSync(source, { recursive: true })
  makeHardTree(source)
  await snapshotter.commit(key('A'), key('a'))
  const [copy] = await snapshotter.prepare(key('b'), { parent: key('A') })
  t.same(await snapshotter.usage(key('b')), await snapshotter.usage(key('A')))
  t.not(copy?.source, source)
  t.same(readdirSync(join(root, 's/2')), ['fs'], 'nothing of the work is left')
  await sameTrees(t, source, copy?.source ?? '')
  t.equal(blocks(copy?.source ?? ''), blocks(source), 'holes stay holes')
  for (const name of ['b', 'A']) await snapshotter.remove(key(name))
  await snapshotter.cleanup()
  t.same(readdirSync(join(root, 's')), [])
})

t.test('gives up a copy that nobody wants any more', { skip }, async t => {
  const folder = t.testdir({})
  const root = join(folder, 'root')
  await using snapshotter = await openSnapshotter(root, {
    driver: 'native',
    contentSync: 'none',
  })
  const [below] = await snapshotter.prepare(key('a'))
  for (let index = 0; index < 1000; index++) {
    writeFileSync(join(below?.source ?? '', `f${index}`), 'x')
  }
  await snapshotter.commit(key('A'), key('a'))
  const given = new AbortController()
  const copying = snapshotter.prepare(key('b'), {
    parent: key('A'),
    signal: given.signal,
  })
  setImmediate(() => given.abort(new Error('given up')))
  await t.rejects(copying, { message: 'given up' })
  await t.rejects(snapshotter.stat(key('b')), { code: 'snapshot_not_found' })
  await snapshotter.cleanup()
  t.same(readdirSync(join(root, 's')), ['1'])
  await snapshotter.prepare(key('b'), { parent: key('A') })
})

t.test('shares what files hold where the filesystem can', { skip }, async t => {
  const folder = t.testdir({})
  const image = join(folder, 'image')
  const place = join(folder, 'disk')
  mkdirSync(place)
  writeFileSync(image, '')
  truncateSync(image, 400_000_000)
  const made = spawnSync('mkfs.xfs', ['-q', '-m', 'reflink=1', image])
  if (made.error !== undefined || made.status !== 0) {
    t.pass('not tried: mkfs.xfs is not installed')
    return
  }
  if (spawnSync('mount', ['-o', 'loop', image, place]).status !== 0) {
    t.pass('not tried: this kernel cannot mount xfs')
    return
  }
  try {
    await checkSharing(t, place)
  } finally {
    unmount(place)
  }
})

async function checkSharing(t: Test, place: string): Promise<void> {
  await using snapshotter = await openSnapshotter(join(place, 'root'), {
    driver: 'native',
  })
  const [below] = await snapshotter.prepare(key('a'))
  writeFileSync(join(below?.source ?? '', 'large'), Buffer.alloc(50_000_000, 'x'))
  await snapshotter.commit(key('A'), key('a'))
  const free = (): number =>
    Number(execFileSync('df', ['--output=avail', '-B1', place]).toString().split('\n')[1])
  const before = free()
  const [copy] = await snapshotter.prepare(key('b'), { parent: key('A') })
  t.equal(statSync(join(copy?.source ?? '', 'large')).size, 50_000_000)
  t.ok(before - free() < 10_000_000, 'no second copy on disk')
}

function blocks(folder: string): number {
  return statSync(join(folder, 'sparse')).blocks
}
