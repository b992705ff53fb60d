import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { hasNativeCalls } from '../../lib/system/libc.js'
import { readFolder } from '../../lib/system/read-folder.js'

const skip = hasNativeCalls() ? false : 'needs native calls'

function list(path: string): unknown {
  const fd = openSync(path, 'r')
  try {
    const names = readFolder(fd)
    names?.sort()
    return Array.from({ length: names?.length ?? 0 }, (_, index) => {
      const entry = names?.at(index)
      return [entry?.name.toString('latin1'), entry?.kind]
    })
  } finally {
    closeSync(fd)
  }
}

t.test('tells names as bytes, and kinds, folders first', { skip }, t => {
  const folder = t.testdir({ '...': '', '..a': '', '.b': {} })
  mkdirSync(join(folder, 'folder'))
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 10])]), '')
  symlinkSync('folder', join(folder, 'link'))
  t.same(list(folder), [
    ['.b', 'directory'],
    ['folder', 'directory'],
    ['...', 'regular'],
    ['..a', 'regular'],
    ['link', 'other'],
    ['\xff\n', 'regular'],
  ])
  t.same(list(join(folder, 'folder')), [])
  t.end()
})

t.test('orders a folder whose names take many pieces', { skip }, t => {
  const folder = t.testdir()
  const names = Array.from({ length: 700 }, (_, index) => `${index}`.padStart(250, 'n'))
  for (const name of names) writeFileSync(join(folder, name), '')
  t.same(
    list(folder),
    names.toSorted((one, other) => (one < other ? -1 : 1)).map(name => [name, 'regular']),
  )
  t.end()
})

t.test('leaves what is no folder to others', { skip }, t => {
  const fd = openSync(join(t.testdir({ file: '' }), 'file'), 'r')
  t.equal(readFolder(fd), undefined)
  closeSync(fd)
  t.end()
})
