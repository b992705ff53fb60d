import t from 'tap'
import { PathNotFoundError } from '../../lib/errors.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { TreeBuilder } from '../support/tree-builder.js'

t.test('finds entries below folders, the root for an empty path', async t => {
  const builder = new TreeBuilder()
  const { store } = builder
  const inner = builder.folder('etc', [builder.file('motd', 'hi')])
  const { digest } = builder.tree([inner])

  const root = await resolveTreePath(store, digest)
  t.equal(root.kind, 'directory')
  t.equal(root.path.length, 0)
  const file = await resolveTreePath(store, digest, Buffer.from('//etc//motd/'))
  t.equal(file.path.toString(), 'etc/motd')
  t.equal(file.kind, 'regular')
  t.equal(file.header.mode, 0o644)
})

t.test('takes a name as bytes, whatever they are', async t => {
  const builder = new TreeBuilder()
  const name = Buffer.from([0xff, 0xfe, 0x0a])
  const { digest } = builder.tree([builder.file(name, 'x')])
  const node = await resolveTreePath(builder.store, digest, name)
  t.same(node.path, name)
})

t.test('never follows a link and knows no dots', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree([
    builder.folder('real', [builder.file('a', 'x')]),
    builder.symlink('link', 'real'),
  ])
  for (const path of ['link/a', 'real/../real/a', './real', 'real/a/b', 'none/a']) {
    await t.rejects(
      resolveTreePath(builder.store, digest, Buffer.from(path)),
      PathNotFoundError,
      path,
    )
  }
})

t.test('names the component that is missing', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree([builder.folder('a', [])])
  await t.rejects(resolveTreePath(builder.store, digest, Buffer.from('a/b\n/c')), {
    code: 'path_not_found',
    facts: { path: 'a/b\\x0a', component: 'b\\x0a' },
  })
})
