import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DestinationRefusedError } from '../../../lib/errors.js'
import { checkout } from '../../../lib/tree/checkout/checkout.js'
import { isWorkFolderName } from '../../../lib/tree/checkout/work-folder.js'
import { sameTrees } from '../../support/compare-trees.js'
import { TreeBuilder } from '../../support/tree-builder.js'

const force = { force: true }

function makeOutside(folder: string): void {
  mkdirSync(folder)
  writeFileSync(join(folder, 'f'), 'outside', { mode: 0o644 })
  mkdirSync(join(folder, 'b'))
  writeFileSync(join(folder, 'b/f'), 'outside')
}

t.test('keeps what the tree does not name, replaces what it does', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree([
    builder.folder('d', [builder.file('new', 'new'), builder.file('old', 'new')]),
    builder.folder('was-file', [builder.file('inside', 'x')]),
    builder.folder('was-link', [builder.file('inside', 'x')]),
    builder.file('was-folder', 'a file now'),
    builder.symlink('was-file-too', 'd'),
  ])
  const out = t.testdir({
    d: { old: 'old', mine: 'mine' },
    'was-file': 'a file',
    'was-link': t.fixture('symlink', 'd'),
    'was-folder': { deep: { er: 'x' } },
    'was-file-too': 'x',
    other: 'mine',
  })
  await checkout(builder.store, { application: digest }, out, force)
  t.same(readdirSync(join(out, 'd')).toSorted(), ['mine', 'new', 'old'])
  t.equal(readFileSync(join(out, 'd/old'), 'utf8'), 'new')
  t.equal(readFileSync(join(out, 'was-file/inside'), 'utf8'), 'x')
  t.ok(lstatSync(join(out, 'was-link')).isDirectory())
  t.equal(readFileSync(join(out, 'was-folder'), 'utf8'), 'a file now')
  t.equal(readlinkSync(join(out, 'was-file-too')), 'd')
  t.equal(readFileSync(join(out, 'other'), 'utf8'), 'mine')
  t.notOk(readdirSync(out).some(isWorkFolderName))
})

t.test('changes nothing outside, whatever links stand in the folder', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree(
    [
      builder.folder('a', [builder.folder('b', [builder.file('f', 'new')])]),
      builder.folder('to-root', [builder.file('f', 'new')]),
      builder.file('file-link', 'new', { mode: 0o600 }),
      builder.file('dead', 'new'),
      builder.file('shared', 'new', { mode: 0o600 }),
      builder.symlink('loop', 'anywhere'),
    ],
    { hardLinks: [[3, 9]] },
  )
  const base = t.testdir({ out: { a: {} } })
  const outside = join(base, 'outside')
  const sentinel = join(base, 'sentinel')
  makeOutside(outside)
  makeOutside(sentinel)
  const out = join(base, 'out')
  symlinkSync('../../outside/b', join(out, 'a/b'))
  symlinkSync('../outside', join(out, 'to-root'))
  symlinkSync('../outside/f', join(out, 'file-link'))
  symlinkSync('../outside/created', join(out, 'dead'))
  symlinkSync('loop', join(out, 'loop'))
  linkSync(join(outside, 'f'), join(out, 'shared'))

  const broken = checkout(builder.store, { application: digest }, out, force)
  await t.rejects(broken, { name: 'InvalidObjectError' }, 'a group beyond the tree')
  const sound = builder.tree([
    builder.folder('a', [builder.folder('b', [builder.file('f', 'new')])]),
    builder.folder('to-root', [builder.file('f', 'new')]),
    builder.file('file-link', 'new', { mode: 0o600 }),
    builder.file('dead', 'new'),
    builder.file('shared', 'new', { mode: 0o600 }),
    builder.symlink('loop', 'anywhere'),
  ])
  await checkout(builder.store, { application: sound.digest }, out, force)
  await sameTrees(t, sentinel, outside, { ignore: ['modification-time'] })
  t.equal(readFileSync(join(out, 'a/b/f'), 'utf8'), 'new')
  t.equal(readFileSync(join(out, 'shared'), 'utf8'), 'new')
  t.equal(statSync(join(out, 'shared')).nlink, 1)
  t.equal(statSync(join(outside, 'f')).nlink, 1)
})

t.test('an interrupted merge is finished by repeating it', async t => {
  const builder = new TreeBuilder()
  const folders = ['a', 'b', 'c', 'd'].map(name =>
    builder.folder(name, [builder.file('f', `new ${name}`)]),
  )
  const { digest } = builder.tree(folders)
  const out = t.testdir({ a: { f: 'old' }, c: 'in the way', keep: 'mine' })
  const controller = new AbortController()
  await t.rejects(
    checkout(builder.store, { application: digest }, out, {
      ...force,
      signal: controller.signal,
      onProgress: ({ files }) => {
        if (files === 2) controller.abort()
      },
    }),
    { name: 'AbortError' },
  )
  t.notOk(existsSync(join(out, 'd')))
  t.notOk(readdirSync(out).some(isWorkFolderName))
  await checkout(builder.store, { application: digest }, out, force)
  t.same(readdirSync(out).toSorted(), ['a', 'b', 'c', 'd', 'keep'])
  t.equal(readFileSync(join(out, 'c/f'), 'utf8'), 'new c')
})

t.test('takes attributes from a folder that the tree does not give it', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree([builder.folder('d', [], { mode: 0o750 })])
  const out = t.testdir({ d: {} })
  const { setXattr, listXattrs } = await import('../../../lib/system/xattr.js')
  setXattr(Buffer.from(join(out, 'd')), Buffer.from('user.mine'), Buffer.from('1'))
  await checkout(builder.store, { application: digest }, out, force)
  t.same(listXattrs(Buffer.from(join(out, 'd'))), [])
  t.equal(statSync(join(out, 'd')).mode & 0o7777, 0o750)
})

t.test('a part that is a file becomes the destination itself', async t => {
  const builder = new TreeBuilder()
  const { digest } = builder.tree([builder.folder('d', [builder.file('f', 'new')])])
  const root = { application: digest, path: Buffer.from('d/f') }
  const base = t.testdir({ folder: {}, file: 'old' })
  await checkout(builder.store, root, join(base, 'out'))
  t.equal(readFileSync(join(base, 'out'), 'utf8'), 'new')
  await t.rejects(
    checkout(builder.store, root, join(base, 'file')),
    DestinationRefusedError,
  )
  await checkout(builder.store, root, join(base, 'file'), force)
  t.equal(readFileSync(join(base, 'file'), 'utf8'), 'new')
  await t.rejects(
    checkout(builder.store, root, join(base, 'folder'), force),
    DestinationRefusedError,
  )
  t.same(readdirSync(base).toSorted(), ['file', 'folder', 'out'])
})
