import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { InvalidArgumentError } from '../../lib/errors.js'
import { errnoOf, isErrno } from '../../lib/system/errno.js'
import { tryLock, unlock } from '../../lib/system/flock.js'
import { bind, hasNativeCalls } from '../../lib/system/libc.js'
import { makeDevice, makeFifo, makeSocket } from '../../lib/system/special-file.js'
import { syncFilesystem, syncFolder } from '../../lib/system/sync.js'
import { findXattr, listXattrs, removeXattr, setXattr } from '../../lib/system/xattr.js'
import { needsRoot } from '../support/source-folder.js'

const skip = hasNativeCalls() ? false : 'needs native calls'

t.test('throws errors like those of node:fs', { skip }, async t => {
  const close = bind<[number]>('close', 'int close(int fd)')
  t.throws(() => close(-1), { code: 'EBADF', syscall: 'close' })
  try {
    close(-1)
  } catch (error) {
    t.equal(errnoOf(error), 'EBADF')
    t.ok(isErrno(error, 'ENOENT', 'EBADF'))
    t.notOk(isErrno(error, 'ENOENT'))
  }
  t.equal(errnoOf(new Error('other')), undefined)
  t.equal(errnoOf('EBADF'), undefined)
})

t.test('sets, lists, reads and removes attributes as bytes', { skip }, async t => {
  const folder = t.testdir({ file: '' })
  const file = Buffer.from(join(folder, 'file'))
  const key = Buffer.from([...Buffer.from('user.'), 0xff, 0x0a])
  t.same(listXattrs(file), [])
  t.equal(findXattr(file, key), undefined)
  setXattr(file, key, Buffer.from([0, 1, 255]))
  setXattr(file, Buffer.from('user.empty'), Buffer.alloc(0))
  const fd = openSync(file, 'r')
  t.teardown(() => closeSync(fd))
  for (const target of [file, fd]) {
    const keys = listXattrs(target).toSorted((one, other) => Buffer.compare(one, other))
    t.same(keys, [Buffer.from('user.empty'), key])
    t.same(findXattr(target, key), Buffer.from([0, 1, 255]))
    t.same(findXattr(target, Buffer.from('user.empty')), Buffer.alloc(0))
  }
  const view = new Uint8Array([9, 8, 7, 6]).subarray(1, 3)
  setXattr(file, key, view)
  t.same(findXattr(file, key), Buffer.from([8, 7]), 'replaces')
  removeXattr(file, key)
  t.equal(findXattr(file, key), undefined)
  t.throws(() => removeXattr(file, key), { code: 'ENODATA' })
  t.throws(() => listXattrs(Buffer.from(join(folder, 'absent'))), { code: 'ENOENT' })
  t.throws(() => setXattr(file, Buffer.from('wrong'), view), { code: /ENOTSUP|EINVAL/ })
  t.throws(() => setXattr(file, Buffer.from('user.a\0b'), view), InvalidArgumentError)
})

t.test('finds no attributes where the filesystem has none', { skip }, async t => {
  t.same(listXattrs(Buffer.from('/proc/self/status')), [])
})

t.test(
  'touches the attributes of a link, not of its target',
  { skip: needsRoot },
  async t => {
    const folder = t.testdir({ file: '' })
    symlinkSync('file', join(folder, 'link'))
    const key = Buffer.from('trusted.link')
    setXattr(Buffer.from(join(folder, 'link')), key, Buffer.from('x'))
    t.same(listXattrs(Buffer.from(join(folder, 'link'))), [key])
    t.same(listXattrs(Buffer.from(join(folder, 'file'))), [])
  },
)

t.test('makes special files with their device numbers', { skip: needsRoot }, async t => {
  const folder = t.testdir({})
  const at = (name: string) => Buffer.from(join(folder, name))
  makeFifo(at('fifo'))
  makeSocket(at('socket'))
  t.ok(lstatSync(at('fifo')).isFIFO())
  t.ok(lstatSync(at('socket')).isSocket())
  for (const rdev of [0x103, 0x700, 0x1001_0301, 0xffff_ffff]) {
    for (const kind of ['char', 'block'] as const) {
      const path = at(`${kind} ${rdev}`)
      makeDevice(path, kind, rdev)
      const stat = lstatSync(path)
      t.equal(stat.isCharacterDevice(), kind === 'char')
      t.equal(stat.isBlockDevice(), kind === 'block')
      t.equal(stat.rdev, rdev)
    }
  }
  t.throws(() => makeFifo(at('fifo')), { code: 'EEXIST' })
})

t.test('locks an open file, not a process', { skip }, async t => {
  const folder = t.testdir({})
  const [one, other] = [openSync(folder, 'r'), openSync(folder, 'r')]
  t.teardown(() => [one, other].forEach(closeSync))
  t.ok(tryLock(one, 'shared'))
  t.ok(tryLock(other, 'shared'))
  t.notOk(tryLock(one, 'exclusive'))
  unlock(other)
  t.ok(tryLock(one, 'exclusive'))
  t.notOk(tryLock(other, 'shared'))
  unlock(one)
  t.ok(tryLock(other, 'exclusive'))
  t.throws(() => tryLock(-1, 'shared'), { code: 'EBADF' })
})

t.test('makes folders and filesystems durable', { skip }, async t => {
  const folder = t.testdir({})
  mkdirSync(join(folder, 'new'))
  writeFileSync(join(folder, 'file'), 'x')
  syncFolder(folder)
  syncFolder(Buffer.from(folder))
  const fd = openSync(folder, 'r')
  t.teardown(() => closeSync(fd))
  await syncFilesystem(fd)
  t.throws(() => syncFolder(join(folder, 'absent')), { code: 'ENOENT' })
  await t.rejects(syncFilesystem(-1), { code: 'EBADF' })
})
