import { appendFileSync, closeSync, linkSync, openSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeFifo } from '../../../lib/system/special-file.js'
import { setXattr } from '../../../lib/system/xattr.js'
import { PlainFileReader } from '../../../lib/tree/source/plain-file.js'

const reader = PlainFileReader.find()
const skip = reader === undefined && 'needs native calls'

function read(
  t: Test,
  folder: string,
  name: string,
  room: (length: number) => Buffer | undefined = length => Buffer.alloc(length),
): Buffer | undefined {
  const fd = openSync(folder, 'r')
  t.teardown(() => closeSync(fd))
  return reader?.read(fd, Buffer.from(name), room)
}

t.test('reads plain files whole', { skip }, async t => {
  const large = Buffer.alloc(3_000_000, 'large')
  const folder = t.testdir({ empty: '', small: 'small', large })
  t.strictSame(read(t, folder, 'empty'), Buffer.alloc(0))
  t.strictSame(read(t, folder, 'small'), Buffer.from('small'))
  t.ok(read(t, folder, 'large')?.equals(large))
  t.equal(reader?.state.size, large.length)
})

t.test('leaves alone whatever needs care', { skip }, async t => {
  const folder = t.testdir({ folder: {}, one: 'one', attributes: 'content', big: '123' })
  symlinkSync('one', join(folder, 'link'))
  linkSync(join(folder, 'one'), join(folder, 'two'))
  makeFifo(Buffer.from(join(folder, 'fifo')))
  for (const name of ['folder', 'one', 'two', 'link', 'fifo', 'absent']) {
    t.equal(read(t, folder, name), undefined, name)
  }
  t.equal(
    read(t, folder, 'big', () => undefined),
    undefined,
  )
  const path = Buffer.from(join(folder, 'attributes'))
  setXattr(path, Buffer.from('user.key'), Buffer.from('value'))
  t.equal(read(t, folder, 'attributes'), undefined)
})

t.test('leaves alone a file that changes while it is read', { skip }, async t => {
  const folder = t.testdir({ file: 'content' })
  const changed = read(t, folder, 'file', length => {
    appendFileSync(join(folder, 'file'), 'more')
    return Buffer.alloc(length)
  })
  t.equal(changed, undefined)
})

function noRoom(): never {
  throw new Error('no room')
}

t.test('keeps no file open', { skip }, async t => {
  const folder = t.testdir({ file: 'content' })
  const next = () => {
    const fd = openSync(folder, 'r')
    closeSync(fd)
    return fd
  }
  const before = next()
  const fd = openSync(folder, 'r')
  t.throws(() => reader?.read(fd, Buffer.from('file'), noRoom), { message: 'no room' })
  closeSync(fd)
  t.equal(next(), before)
})
