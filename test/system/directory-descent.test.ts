import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SourceChangedError } from '../../lib/errors.js'
import {
  type DescentOptions,
  DirectoryDescent,
  joinPath,
} from '../../lib/system/directory-descent.js'
import { isErrno } from '../../lib/system/errno.js'

const inner = Buffer.from('inner')
const file = Buffer.from('file')

for (const addressing of ['descriptors', 'paths'] as const) {
  t.test(`goes down and up again by ${addressing}`, async t => {
    const folder = t.testdir({ file: '0', inner: { file: '1', inner: { file: '2' } } })
    for (const outermost of [folder, `${folder}/`, Buffer.from(folder)]) {
      using descent = new DirectoryDescent(outermost, { addressing, window: 1 })
      const read = () => readFileSync(descent.path(file), 'utf8')
      t.equal(read(), '0')
      descent.enter(inner)
      descent.enter(inner)
      t.equal(descent.depth, 2)
      t.equal(read(), '2')
      t.same(readdirSync(descent.here), ['file'])
      descent.leave()
      t.equal(read(), '1')
      descent.leave()
      t.equal(read(), '0')
      t.throws(() => descent.leave(), /leave without enter/)
    }
  })

  t.test(`follows no link below the outermost folder by ${addressing}`, async t => {
    const folder = t.testdir({ real: { inner: {} }, file: '' })
    symlinkSync('real', join(folder, 'link'))
    using through = new DirectoryDescent(join(folder, 'link'), { addressing })
    through.enter(inner)
    using descent = new DirectoryDescent(folder, { addressing })
    t.throws(() => descent.enter(Buffer.from('link')), { code: /ENOTDIR|ELOOP/ })
    t.throws(() => descent.enter(file), { code: 'ENOTDIR' })
    t.throws(() => descent.enter(Buffer.from('absent')), { code: 'ENOENT' })
    t.equal(descent.depth, 0, 'stays where it was')
  })
}

t.test('keeps few directories open, however deep it goes', async t => {
  const before = readdirSync('/proc/self/fd').length
  const folder = t.testdir({})
  {
    using descent = new DirectoryDescent(folder, { window: 4 })
    for (let level = 0; level < 30; level++) {
      mkdirSync(descent.path(inner))
      descent.enter(inner)
    }
    t.ok(readdirSync('/proc/self/fd').length <= before + 5)
  }
  t.equal(readdirSync('/proc/self/fd').length, before, 'closes all of them')
})

t.test('does not go up into another folder than it came from', async t => {
  const folder = t.testdir({ outer: { inner: { inner: {} } }, other: {} })
  using descent = new DirectoryDescent(folder, { window: 1 } satisfies DescentOptions)
  descent.enter(Buffer.from('outer'))
  descent.enter(inner)
  renameSync(join(folder, 'outer/inner'), join(folder, 'other/inner'))
  t.throws(() => descent.leave(), SourceChangedError)
})

t.test('says that it is closed', async t => {
  const descent = new DirectoryDescent(t.testdir({}))
  descent[Symbol.dispose]()
  descent[Symbol.dispose]()
  t.throws(() => descent.fd, /closed/)
  t.throws(() => descent.here, /closed/)
  t.throws(() => descent.path(inner), /closed/)
})

t.test('opens the root of the filesystem', async t => {
  for (const addressing of ['descriptors', 'paths'] as const) {
    using descent = new DirectoryDescent('/', { addressing })
    t.ok(readdirSync(descent.here).includes('proc'))
    descent.enter(Buffer.from('proc'))
    t.ok(readdirSync(descent.here).includes('self'))
  }
})

t.test('joins paths and tells errors as bytes and codes', async t => {
  t.same(joinPath(Buffer.from('/a'), Buffer.from([0xff])), Buffer.from('2f612fff', 'hex'))
  t.notOk(isErrno(new Error('EACCES'), 'EACCES'))
})
