import { chmodSync, linkSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { escapeBytes } from '../../lib/object/escape.js'
import { setXattr } from '../../lib/system/xattr.js'
import { compareFolders } from '../../lib/tree/compare-folders.js'

t.test('finds every kind of difference', async t => {
  const base = t.testdir({
    one: { same: 'x', gone: 'x', content: 'a', mode: 'x', type: 'x', d: { deep: '1' } },
    two: { same: 'x', more: 'x', content: 'b', mode: 'x', type: {}, d: { deep: '2' } },
  })
  const [one, two] = [join(base, 'one'), join(base, 'two')]
  chmodSync(join(two, 'mode'), 0o600)
  chmodSync(join(one, 'mode'), 0o640)
  symlinkSync('a', join(one, 'link'))
  symlinkSync('b', join(two, 'link'))
  writeFileSync(join(one, 'h1'), 'x')
  linkSync(join(one, 'h1'), join(one, 'h2'))
  writeFileSync(join(two, 'h1'), 'x')
  writeFileSync(join(two, 'h2'), 'x')
  setXattr(Buffer.from(join(one, 'same')), Buffer.from('user.a'), Buffer.from('1'))
  const found = await compareFolders(one, two, { ignore: ['modification-time'] })
  const lines = found.differences.map(({ path, part }) => `${escapeBytes(path)} ${part}`)
  t.same(lines.toSorted(), [
    'content content',
    'd/deep content',
    'gone missing',
    'h2 hard-links',
    'link target',
    'mode permissions',
    'more extra',
    'same xattrs',
    'type type',
  ])
  utimesSync(join(two, 'same'), 1, 1)
  utimesSync(join(one, 'same'), 2, 2)
  const { differences } = await compareFolders(join(one), join(two), {
    maxDifferences: 1,
  })
  t.equal(differences.length, 1)
  t.same((await compareFolders(one, one)).differenceCount, 0)
})
