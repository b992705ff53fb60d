import t from 'tap'
import type { Digest } from '../../lib/object/digest.js'
import { ModificationTimesEncoder } from '../../lib/object/modification-times.js'
import type { ObjectReader } from '../../lib/store/object-store.js'
import { diffTrees } from '../../lib/tree/diff.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { TreeBuilder } from '../support/tree-builder.js'

async function diff(
  [beforeStore, before]: readonly [ObjectReader, Digest],
  [afterStore, after]: readonly [ObjectReader, Digest],
  path = '',
): Promise<string[]> {
  const one = await resolveTreePath(beforeStore, before, Buffer.from(path))
  const other = await resolveTreePath(afterStore, after, Buffer.from(path))
  const lines: string[] = []
  for await (const batch of diffTrees(beforeStore, one, afterStore, other)) {
    for (const change of batch) {
      const parts = change.kind === 'changed' ? ` ${change.parts.join(',')}` : ''
      lines.push(`${change.kind} ${change.path.toString()}${parts}`)
    }
  }
  return lines
}

function times(...seconds: number[]): Buffer {
  const encoder = new ModificationTimesEncoder()
  for (const second of seconds) encoder.add({ seconds: BigInt(second), nanoseconds: 5 })
  return encoder.finish()
}

t.test('says what was added, removed and changed, in byte order', async t => {
  const builder = new TreeBuilder()
  const { store } = builder
  const same = builder.folder('same', [builder.file('a', '1')])
  const before = builder.tree([
    same,
    builder.folder('gone', [builder.file('x', '1')]),
    builder.folder('swap', [builder.file('x', '1')]),
    builder.file('content', '1'),
    builder.file('all', '1'),
    builder.symlink('link', 'a'),
    builder.special('dev', 'block-device', { rdev: 1 }),
  ])
  const xattrs = [{ key: Buffer.from('user.a'), value: Buffer.from('1') }]
  const after = builder.tree([
    same,
    builder.folder('new', [builder.file('y', '1')]),
    builder.file('swap', 'now a file'),
    builder.file('content', '2'),
    builder.file('all', '2', { mode: 0o4755, uid: 7, xattrs }),
    builder.symlink('link', 'b'),
    builder.special('dev', 'block-device', { rdev: 2 }),
  ])
  t.same(await diff([store, before.digest], [store, after.digest]), [
    'changed all permissions,owner,xattrs,content',
    'changed content content',
    'changed dev device',
    'removed gone',
    'removed gone/x',
    'changed link target',
    'added new',
    'added new/y',
    'changed swap type,permissions',
    'removed swap/x',
  ])
  t.same(await diff([store, before.digest], [store, before.digest]), [])
})

t.test('does not read what is equal', async t => {
  const builder = new TreeBuilder()
  const { store } = builder
  const shared = builder.folder('shared', [builder.file('a', '1')])
  const before = builder.tree([shared, builder.file('x', '1')])
  const after = builder.tree([shared, builder.file('x', '2')])
  const read: Digest[] = []
  const reader: ObjectReader = {
    has: digests => store.has(digests),
    stat: digests => store.stat(digests),
    open: digest => store.open(digest),
    read: digests => {
      read.push(...digests)
      return store.read(digests)
    },
  }
  t.same(await diff([reader, before.digest], [reader, after.digest]), [
    'changed x content',
  ])
  t.notOk(read.includes(shared.directory.digest))
})

t.test('compares contents under different algorithms', async t => {
  const one = new TreeBuilder('blake3')
  const other = new TreeBuilder('sha256')
  const before = one.tree([
    one.folder('d', [one.file('same', 'abc')]),
    one.file('differs', 'abc'),
    one.file('longer', 'abc'),
  ])
  const after = other.tree([
    other.folder('d', [other.file('same', 'abc')]),
    other.file('differs', 'abd'),
    other.file('longer', 'abcd'),
  ])
  t.same(await diff([one.store, before.digest], [other.store, after.digest]), [
    'changed differs content',
    'changed longer content',
  ])
})

t.test('compares times and hard links where both sides have them', async t => {
  const builder = new TreeBuilder()
  const { store } = builder
  const files = [
    builder.folder('d', [builder.file('a', '1'), builder.file('b', '1')]),
    builder.file('c', '1'),
  ]
  // Ordinals: root 0, d 1, d/a 2, d/b 3, c 4.
  const plain = builder.tree(files)
  const linked = builder.tree(files, { hardLinks: [[2, 3]] })
  const relinked = builder.tree(files, { hardLinks: [[2, 4]] })
  const timed = builder.tree(files, { modificationTimes: times(1, 2, 3, 4, 5) })
  const touched = builder.tree(files, { modificationTimes: times(1, 2, 3, 9, 5) })

  t.same(await diff([store, plain.digest], [store, linked.digest]), [])
  t.same(await diff([store, linked.digest], [store, linked.digest]), [])
  t.same(await diff([store, linked.digest], [store, relinked.digest]), [
    'changed c hard-links',
    'changed d/a hard-links',
    'changed d/b hard-links',
  ])
  t.same(await diff([store, timed.digest], [store, touched.digest]), [
    'changed d/b modification-time',
  ])
  t.same(await diff([store, timed.digest], [store, touched.digest], 'd'), [
    'changed b modification-time',
  ])
  t.same(await diff([store, timed.digest], [store, linked.digest]), [])
})
