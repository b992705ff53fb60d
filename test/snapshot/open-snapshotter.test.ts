import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { probeOverlay } from '../../lib/snapshot/driver/overlay-probe.js'
import { openSnapshotter } from '../../lib/snapshot/open-snapshotter.js'
import { systemFileCalls } from '../../lib/system/file-calls.js'
import { mount, unmount } from '../../lib/system/mount.js'
import { key, walkAll } from '../support/snapshots/subject.js'

const skip = process.getuid?.() === 0 ? false : 'only root may mount'

t.test('is open in one process at a time', async t => {
  const root = join(t.testdir({}), 'root')
  const first = await openSnapshotter(root, { driver: 'native' })
  t.equal(statSync(root).mode & 0o777, 0o700)
  await t.rejects(openSnapshotter(root, { wait: 0 }), {
    code: 'lock_busy',
    facts: { lock: 'snapshotter' },
  })
  await first.close()
  await using second = await openSnapshotter(root, { wait: 0 })
  t.equal(second.driver, 'native')
  t.equal(second.root, root)
})

t.test('keeps to the driver that a root began with', { skip }, async t => {
  const root = join(t.testdir({}), 'root')
  await (await openSnapshotter(root, { driver: 'overlay' })).close()
  await t.rejects(openSnapshotter(root, { driver: 'native' }), { code: 'driver_refused' })
  await using again = await openSnapshotter(root)
  t.equal(again.driver, 'overlay')
})

t.test('refuses a root whose own files say something else', async t => {
  const root = t.testdir({ config: '{"driver":"zfs","version":1}\n' })
  await t.rejects(openSnapshotter(root), { code: 'invalid_snapshot_root' })
  const file = join(t.testdir({ file: '' }), 'file')
  await t.rejects(openSnapshotter(file), { code: 'invalid_repository' })
})

t.test('passes overlay over where it cannot work, and says why', { skip }, async t => {
  const folder = t.testdir({ 'a,b': {}, lower: {}, upper: {}, work: {}, merged: {} })
  t.match(probeOverlay(join(folder, 'a,b')), { works: false, reason: /comma/ })
  const options = ['lower', 'upper', 'work'].map(
    name => `${name}dir=${join(folder, name)}`,
  )
  const merged = join(folder, 'merged')
  mount(merged, { type: 'overlay', source: 'overlay', options })
  try {
    t.match(probeOverlay(merged), { works: false, reason: /overlayfs/ })
    let told = ''
    await using snapshotter = await openSnapshotter(join(merged, 'root'), {
      onRefused: reason => {
        told = reason
      },
    })
    t.equal(snapshotter.driver, 'native')
    t.match(told, /overlayfs/)
    await t.rejects(openSnapshotter(join(merged, 'other'), { driver: 'overlay' }), {
      code: 'driver_refused',
      message: /overlayfs/,
    })
  } finally {
    unmount(merged)
  }
  t.match(probeOverlay(folder), { works: true })
  t.same(readdirSync(folder).toSorted(), ['a,b', 'lower', 'merged', 'upper', 'work'])
})

t.test('makes log and folders agree when it opens', { skip }, async t => {
  const root = join(t.testdir({}), 'root')
  {
    await using snapshotter = await openSnapshotter(root, { driver: 'overlay' })
    await snapshotter.prepare(key('a'))
    await snapshotter.commit(key('A'), key('a'))
    await snapshotter.prepare(key('lost'), { parent: key('A') })
    await snapshotter.prepare(key('gone'))
    await snapshotter.commit(key('gone for good'), key('gone'))
  }
  rmSync(join(root, 's/2'), { recursive: true })
  rmSync(join(root, 's/3'), { recursive: true })
  mkdirSync(join(root, 's/77/fs'), { recursive: true })
  mkdirSync(join(root, 's/not ours'))
  await using snapshotter = await openSnapshotter(root)
  t.same(snapshotter.recovery, {
    orphans: 1,
    restored: ['lost'],
    missing: ['gone for good'],
  })
  t.ok(existsSync(join(root, 's/2/work')))
  t.notOk(existsSync(join(root, 's/77')))
  t.ok(existsSync(join(root, 's/not ours')))
  await snapshotter.remove(key('gone for good'))
  t.equal((await walkAll(snapshotter)).length, 2)
})

t.test('never commits what a sync could not make durable', { skip }, async t => {
  const root = join(t.testdir({}), 'root')
  let failures = 0
  const syncFilesystem = async (fd: number): Promise<void> => {
    if (failures-- > 0) throw Object.assign(new Error('EIO'), { code: 'EIO' })
    await systemFileCalls.syncFilesystem(fd)
  }
  await using snapshotter = await openSnapshotter(root, {
    driver: 'overlay',
    calls: { ...systemFileCalls, syncFilesystem },
  })
  await snapshotter.prepare(key('before'))
  failures = 1
  await t.rejects(snapshotter.commit(key('A'), key('before')), { code: 'EIO' })
  t.equal((await snapshotter.stat(key('before'))).kind, 'active')
  // The system tells of a lost write once only.
  await t.rejects(snapshotter.commit(key('A'), key('before')), { code: 'EIO' })
  await snapshotter.prepare(key('after'))
  await snapshotter.commit(key('A'), key('after'))
})

t.test('shares one sync among commits at the same time', { skip }, async t => {
  const root = join(t.testdir({}), 'root')
  let syncs = 0
  const syncFilesystem = async (fd: number): Promise<void> => {
    syncs += 1
    await systemFileCalls.syncFilesystem(fd)
  }
  await using snapshotter = await openSnapshotter(root, {
    driver: 'overlay',
    calls: { ...systemFileCalls, syncFilesystem },
  })
  const names = Array.from({ length: 20 }, (_, index) => `k${index}`)
  await Promise.all(names.map(name => snapshotter.prepare(key(name))))
  await Promise.all(names.map(name => snapshotter.commit(key(`${name} done`), key(name))))
  t.ok(syncs <= 2, `${syncs} syncs`)
})

t.test('never follows links out of its trash', { skip }, async t => {
  const folder = t.testdir({ outside: { file: 'x' } })
  const root = join(folder, 'root')
  await using snapshotter = await openSnapshotter(root, { driver: 'overlay' })
  const [own] = await snapshotter.prepare(key('a'))
  symlinkSync(join(folder, 'outside'), join(own?.source ?? '', 'link'))
  mkdirSync(join(own?.source ?? '', 'closed'))
  writeFileSync(join(own?.source ?? '', 'closed/f'), '')
  chmodSync(join(own?.source ?? '', 'closed'), 0)
  await snapshotter.remove(key('a'))
  await snapshotter.cleanup()
  t.equal(readFileSync(join(folder, 'outside/file'), 'utf8'), 'x')
  t.same(readdirSync(join(root, 'trash')), [])
})
