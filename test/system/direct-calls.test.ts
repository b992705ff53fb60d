import {
  appendFileSync,
  chmodSync,
  closeSync,
  lstatSync,
  openSync,
  symlinkSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DirectCalls, FileState } from '../../lib/system/direct-calls.js'
import { setXattr } from '../../lib/system/xattr.js'

const calls = DirectCalls.find()
const skip = calls === undefined && 'needs native calls'

t.test('sees of a file what node:fs sees', { skip }, async t => {
  if (calls === undefined) return
  const folder = t.testdir({ file: 'content' })
  const path = join(folder, 'file')
  utimesSync(path, 1_600_000_000.25, -3.5)
  chmodSync(path, 0o4751)
  const directory = openSync(folder, 'r')
  t.teardown(() => closeSync(directory))
  const fd = calls.openAt(directory, Buffer.from('file'))
  t.teardown(() => calls.close(fd))
  const state = new FileState()
  t.ok(calls.see(fd, state))
  const stat = lstatSync(path, { bigint: true })
  t.equal(state.mode, Number(stat.mode))
  t.equal(state.links, 1)
  t.equal(state.uid, Number(stat.uid))
  t.equal(state.gid, Number(stat.gid))
  t.equal(state.size, 7)
  t.equal(
    state.modifiedSeconds * 1_000_000_000n + BigInt(state.modifiedNanoseconds),
    stat.mtimeNs,
  )
  const room = Buffer.alloc(20)
  t.equal(calls.read(fd, room), 7)
  t.equal(room.toString('latin1', 0, 7), 'content')
})

t.test('tells one state of a file from another', { skip }, async t => {
  if (calls === undefined) return
  const folder = t.testdir({ file: 'content', other: 'content' })
  const directory = openSync(folder, 'r')
  t.teardown(() => closeSync(directory))
  const see = (name: string) => {
    const fd = calls.openAt(directory, Buffer.from(name))
    const state = new FileState()
    t.ok(calls.see(fd, state))
    calls.close(fd)
    return state
  }
  const before = see('file')
  t.ok(before.equals(see('file')))
  t.notOk(before.equals(see('other')))
  appendFileSync(join(folder, 'file'), 'more')
  const after = see('file')
  t.notOk(before.equals(after))
  chmodSync(join(folder, 'file'), 0o600)
  t.notOk(after.equals(see('file')))
})

t.test('answers -1 for what cannot be opened, and follows no link', { skip }, async t => {
  if (calls === undefined) return
  const folder = t.testdir({ file: 'content' })
  symlinkSync('file', join(folder, 'link'))
  const directory = openSync(folder, 'r')
  t.teardown(() => closeSync(directory))
  for (const name of ['absent', 'link', 'fi\0le', 'n'.repeat(256), 'n'.repeat(5000)]) {
    t.equal(calls.openAt(directory, Buffer.from(name)), -1, name.slice(0, 20))
  }
})

t.test('knows whether a file has extended attributes', { skip }, async t => {
  if (calls === undefined) return
  const folder = t.testdir({ with: 'content', without: 'content' })
  setXattr(Buffer.from(join(folder, 'with')), Buffer.from('user.key'), Buffer.from('v'))
  const directory = openSync(folder, 'r')
  t.teardown(() => closeSync(directory))
  for (const name of ['with', 'without']) {
    const fd = calls.openAt(directory, Buffer.from(name))
    t.equal(calls.mayHaveXattrs(fd), name === 'with')
    calls.close(fd)
  }
  const proc = openSync('/proc', 'r')
  t.teardown(() => closeSync(proc))
  const version = calls.openAt(proc, Buffer.from('version'))
  t.notOk(calls.mayHaveXattrs(version), 'a filesystem without attributes has none')
  calls.close(version)
  t.ok(calls.mayHaveXattrs(-1), 'what cannot be told is left to others')
})
