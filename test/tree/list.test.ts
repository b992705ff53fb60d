import t from 'tap'
import { InvalidObjectError, LimitExceededError } from '../../lib/errors.js'
import type { Digest } from '../../lib/object/digest.js'
import type { ObjectReader } from '../../lib/store/object-store.js'
import { type ListOptions, listTree, type TreeEntry } from '../../lib/tree/list.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { TreeBuilder } from '../support/tree-builder.js'

async function list(
  store: ObjectReader,
  digest: Digest,
  options: ListOptions & { path?: string } = {},
): Promise<TreeEntry[]> {
  const node = await resolveTreePath(store, digest, Buffer.from(options.path ?? ''))
  const entries: TreeEntry[] = []
  for await (const batch of listTree(store, node, options)) entries.push(...batch)
  return entries
}

const shown = (entries: readonly TreeEntry[]): string[] =>
  entries.map(({ path }) => path.toString())

t.test('lists one folder, or all below it, in stored order', async t => {
  const builder = new TreeBuilder()
  const deep = builder.folder('deep', [builder.file('z', 'zz')])
  const { digest } = builder.tree([
    builder.folder('b', [deep, builder.file('a', 'x')]),
    builder.folder('c', []),
    builder.file('a', 'x'),
    builder.symlink('l', 'a'),
    builder.special('dev', 'char-device', { rdev: 0x103, unknown: true }),
  ])
  t.same(shown(await list(builder.store, digest)), ['b', 'c', 'a', 'dev', 'l'])
  const all = await list(builder.store, digest, { recursive: true })
  t.same(shown(all), ['b', 'b/deep', 'b/deep/z', 'b/a', 'c', 'a', 'dev', 'l'])
  const [z] = all.filter(({ path }) => path.toString() === 'b/deep/z')
  t.equal(z?.size, 2n)
  const [dev] = all.filter(({ path }) => path.toString() === 'dev')
  t.equal(dev?.kind, 'char-device')
  t.same(all.at(-1)?.target, Buffer.from('a'))
  t.same(shown(await list(builder.store, digest, { path: 'b', recursive: true })), [
    'b/deep',
    'b/deep/z',
    'b/a',
  ])
  t.same(shown(await list(builder.store, digest, { path: 'b/a' })), ['b/a'])
})

t.test('ends where a small tree names too many paths', async t => {
  const builder = new TreeBuilder()
  let folder = builder.folder('a', [])
  for (let level = 0; level < 20; level++) {
    folder = builder.folder('a', [folder, { ...folder, name: Buffer.from('b') }])
  }
  const { digest } = builder.tree([folder])
  await t.rejects(
    list(builder.store, digest, { recursive: true, maxEntries: 1000 }),
    LimitExceededError,
  )
})

t.test('names the entry that contradicts its header', async t => {
  const builder = new TreeBuilder()
  const file = builder.file('f', 'x')
  const header = builder.header('fifo')
  const inner = builder.folder('d', [{ ...file, header }])
  const { digest } = builder.tree([inner])
  await t.rejects(list(builder.store, digest, { recursive: true }), InvalidObjectError)
  await t.rejects(list(builder.store, digest, { recursive: true }), {
    code: 'invalid_object',
    facts: { path: 'd/f' },
  })
})
