import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { InvalidArchiveError } from '../../../lib/errors.js'
import { MemoryStore } from '../../../lib/store/memory-store.js'
import { applyLayer } from '../../../lib/tree/changes/apply-layer.js'
import { unpackLayer } from '../../../lib/tree/changes/unpack-layer.js'
import { isRoot } from '../../support/hard-tree.js'
import { describeImported } from '../../support/imported-archive.js'
import { beginIn, storePart } from '../../support/layer-trees.js'
import { archive, member, pieces } from '../../support/raw-archive.js'

const skip = isRoot ? false : 'needs root to give files their owners'

const file = (path: string, content = ''): Buffer => member(path, 'regular', { content })
const folder = (path: string): Buffer => member(`${path}/`, 'directory')

const base = archive(
  folder('a'),
  file('a/x', 'base'),
  folder('a/sub'),
  file('a/sub/y', 'base'),
  file('f', 'base'),
  member('g', 'hard-link', { target: 'f' }),
  member('link', 'symlink', { target: 'a' }),
)

/** What a layer makes of the base, in lines without permissions. */
type Case = {
  readonly name: string
  readonly layer: readonly Buffer[]
  readonly result: readonly string[]
}

const rest = ['regular f base', 'regular g base', 'symlink link -> a']

const cases: readonly Case[] = [
  {
    name: 'takes a file away',
    layer: [file('.wh.f')],
    result: [
      'directory a',
      'directory a/sub',
      'regular a/sub/y base',
      'regular a/x base',
      'regular g base',
      'symlink link -> a',
    ],
  },
  { name: 'takes a folder away', layer: [file('.wh.a')], result: rest },
  {
    name: 'takes nothing away that is not there',
    layer: [file('.wh.none'), file('none/.wh.x')],
    result: [
      'directory a',
      'directory a/sub',
      'regular a/sub/y base',
      'regular a/x base',
      ...rest,
    ],
  },
  {
    name: 'hides what a folder has',
    layer: [file('a/.wh..wh..opq'), file('a/new', 'layer')],
    result: ['directory a', 'regular a/new layer', ...rest],
  },
  {
    name: 'hides it, too, when the mark comes last',
    layer: [file('a/new', 'layer'), file('a/.wh..wh..opq')],
    result: ['directory a', 'regular a/new layer', ...rest],
  },
  {
    name: 'keeps what the layer brings in a folder below',
    layer: [file('a/sub/z', 'layer'), file('a/.wh..wh..opq')],
    result: ['directory a', 'directory a/sub', 'regular a/sub/z layer', ...rest],
  },
  {
    name: 'keeps what the layer brings under the same name',
    layer: [file('f', 'layer'), file('.wh.f')],
    result: [
      'directory a',
      'directory a/sub',
      'regular a/sub/y base',
      'regular a/x base',
      'regular f layer',
      'regular g base',
      'symlink link -> a',
    ],
  },
  {
    name: 'keeps a folder that the layer brings again',
    layer: [folder('a'), file('a/new', 'layer'), file('.wh.a')],
    result: ['directory a', 'regular a/new layer', ...rest],
  },
  {
    name: 'makes a folder a file',
    layer: [file('a', 'layer')],
    result: ['regular a layer', ...rest],
  },
  {
    name: 'makes a link a folder',
    layer: [folder('link'), file('link/x', 'layer')],
    result: [
      'directory a',
      'directory a/sub',
      'directory link',
      'regular a/sub/y base',
      'regular a/x base',
      'regular f base',
      'regular g base',
      'regular link/x layer',
    ],
  },
  {
    name: 'changes one name of a file only',
    layer: [file('f', 'layer')],
    result: [
      'directory a',
      'directory a/sub',
      'regular a/sub/y base',
      'regular a/x base',
      'regular f layer',
      'regular g base',
      'symlink link -> a',
    ],
  },
  {
    name: 'links to a file of the base',
    layer: [member('h', 'hard-link', { target: 'a/x' })],
    result: [
      'directory a',
      'directory a/sub',
      'regular a/sub/y base',
      'regular a/x base',
      'regular f base',
      'regular g base',
      'regular h base',
      'symlink link -> a',
    ],
  },
  {
    name: 'passes over marks of old union filesystems',
    layer: [folder('.wh..wh.plnk'), file('.wh..wh.plnk/1.2'), file('.wh..wh.aufs')],
    result: [
      'directory a',
      'directory a/sub',
      'regular a/sub/y base',
      'regular a/x base',
      ...rest,
    ],
  },
]

t.test('applies marks to a stored tree', async t => {
  for (const { name, layer, result } of cases) {
    const store = new MemoryStore()
    await using session = await beginIn(store)
    const stored = await applyLayer(pieces(base), undefined, session)
    await session.publish([stored.descriptor.digest])
    const tree = { reader: store, application: stored.descriptor.digest }
    const { descriptor } = await applyLayer(pieces(archive(...layer)), tree, session)
    await session.publish([descriptor.digest])
    t.same(await linesOf({ store, descriptor }), result.toSorted(), name)
  }
})

t.test('applies marks to a folder', { skip }, async t => {
  for (const { name, layer, result } of cases) {
    const target = newFolder(t, name)
    await unpackLayer(pieces(base), target)
    await unpackLayer(pieces(archive(...layer)), target)
    const { store, digest } = await storePart(target)
    const descriptor = { digest }
    t.same(await linesOf({ store, descriptor }), result.toSorted(), name)
  }
})

t.test('refuses marks that are none', { skip }, async t => {
  const refused = [
    file('.wh.'),
    file('.wh..'),
    file('.wh...'),
    file('a/.wh.b/c'),
    file('.wh..wh..opq/c'),
    file('f/.wh.x'),
    file('link/.wh.x'),
    file('link/.wh..wh..opq'),
  ]
  for (const bytes of refused) {
    const store = new MemoryStore()
    await using session = await beginIn(store)
    const stored = await applyLayer(pieces(base), undefined, session)
    await session.publish([stored.descriptor.digest])
    const tree = { reader: store, application: stored.descriptor.digest }
    await t.rejects(
      applyLayer(pieces(archive(bytes)), tree, session),
      InvalidArchiveError,
    )
    const target = newFolder(t, 'refused')
    await unpackLayer(pieces(base), target)
    await t.rejects(unpackLayer(pieces(archive(bytes)), target), InvalidArchiveError)
  }
})

function newFolder(t: Test, name: string): string {
  const target = join(t.testdir(), name.replaceAll(' ', '-'))
  mkdirSync(target)
  return target
}

async function linesOf(
  imported: Parameters<typeof describeImported>[0],
): Promise<string[]> {
  const lines = await describeImported(imported)
  return lines.map(line => line.replace(/^(\S+) \d+ /, '$1 ').trimEnd()).toSorted()
}
