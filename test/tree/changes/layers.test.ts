import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { NotRepresentableError } from '../../../lib/errors.js'
import { applyLayer } from '../../../lib/tree/changes/apply-layer.js'
import {
  folderChanges,
  overlayChanges,
} from '../../../lib/tree/changes/folder-changes.js'
import { layerSize } from '../../../lib/tree/changes/layer-size.js'
import { treeChanges } from '../../../lib/tree/changes/tree-changes.js'
import { unpackLayer } from '../../../lib/tree/changes/unpack-layer.js'
import { sameTrees } from '../../support/compare-trees.js'
import { deepFolder } from '../../support/deep-folder.js'
import { isRoot } from '../../support/hard-tree.js'
import {
  beginIn,
  changeTree,
  copyFolder,
  describeChanges,
  layerOf,
  makeLowerTree,
  placesIn,
  shell,
  storePart,
} from '../../support/layer-trees.js'
import { pieces } from '../../support/raw-archive.js'

const skip = isRoot ? false : 'needs root to make devices and foreign owners'

t.test(
  'takes a stored tree to another by the layer of their changes',
  { skip },
  async t => {
    const { lower, upper } = trees(deepFolder(t))
    const before = await storePart(lower)
    const after = await storePart(upper)
    const layer = await layerOf(treeChanges(before, after))
    await using session = await beginIn(before.store)
    const base = { reader: before.store, application: before.digest }
    const { descriptor } = await applyLayer(pieces(layer), base, session)
    t.equal(descriptor.digest, after.digest)
    const again = await layerOf(treeChanges(before, after))
    t.ok(again.equals(layer), 'the same changes give the same bytes')
    t.equal(
      (await layerOf(treeChanges(after, after))).length,
      1024,
      'no change, no entry',
    )
  },
)

t.test('takes a folder to another by the layer of their changes', { skip }, async t => {
  const { lower, upper, out } = trees(deepFolder(t))
  const layer = await layerOf(folderChanges(lower, upper))
  copyFolder(lower, out)
  const { leftOut } = await unpackLayer(pieces(layer), out)
  t.same(leftOut, [])
  // By containerd's rule the time of a folder is no change.
  await sameTrees(t, upper, out, { ignore: ['modification-time'] })
  const stored = await storePart(lower)
  const layers = [layer, await layerOf(treeChanges(stored, await storePart(upper)))]
  const names = layers.map(bytes => execFileSync('tar', ['-tf', '-'], { input: bytes }))
  t.ok(names[0]?.toString().includes('.wh.gone'))
  t.notOk(names.some(list => list.toString().includes('gone/deep')))
})

t.test('tells changes as containerd does', { skip }, async t => {
  const { lower, upper } = placesIn(t.testdir())
  mkdirSync(lower)
  shell(lower, [
    'echo a > same; echo a > whole-a; echo a > whole-b; echo a > fraction',
    'touch -d @100.5 same fraction; touch -d @100 whole-a whole-b',
    'mkdir folder; touch folder/f; touch -d @100 folder; ln -s x link; touch -hd @1.5 link',
  ])
  copyFolder(lower, upper)
  shell(upper, [
    // Equal size and time: only where the time may be cut off is the content looked at.
    'echo b > whole-b; touch -d @100 whole-b; echo b > fraction; touch -d @100.5 fraction',
    'touch -d @200 folder; ln -sfn y link; touch -hd @1.5 link',
  ])
  t.same(await describeChanges(folderChanges(lower, upper)), ['C /link', 'C /whole-b'])
  t.equal(await layerSize(folderChanges(lower, upper)), 2)
  t.equal(await layerSize(folderChanges(undefined, upper)), 8)
})

t.test('reads an overlay from its upper folder alone', { skip }, async t => {
  const folder = deepFolder(t)
  const { lower } = trees(folder)
  const places = ['base', 'upper', 'work', 'merged'].map(name =>
    join(folder, `o-${name}`),
  )
  const [base = '', upper = '', work = '', merged = ''] = places
  for (const place of places) mkdirSync(place)
  copyFolder(`${lower}/.`, base)
  execFileSync('mount', overlayMount({ lowers: [base], upper, work, merged }))
  t.teardown(() => execFileSync('umount', [merged]))
  changeTree(merged)
  const layer = await layerOf(overlayChanges({ upper, lowers: [base] }))
  const expected = await describeChanges(folderChanges(base, merged))
  const lines = await describeChanges(overlayChanges({ upper, lowers: [base] }))
  // What an opaque folder hides is not deleted one by one.
  t.same(
    deletions(expected).filter(line => !line.startsWith('D /replaced/')),
    deletions(lines),
  )
  t.ok(lines.includes('C /replaced opaque'))
  const out = join(folder, 'o-out')
  copyFolder(base, out)
  await unpackLayer(pieces(layer), out)
  await sameTrees(t, merged, out, { ignore: ['hard-links'] })
})

t.test('unpacks a layer into the upper folder of an overlay', { skip }, async t => {
  const folder = deepFolder(t)
  const { lower, upper: changed } = trees(folder)
  const layer = await layerOf(folderChanges(lower, changed))
  const places = ['upper', 'work', 'merged'].map(name => join(folder, `u-${name}`))
  const [upper = '', work = '', merged = ''] = places
  for (const place of places) mkdirSync(place)
  await unpackLayer(pieces(layer), upper, { marks: { kind: 'overlay', lowers: [lower] } })
  execFileSync('mount', overlayMount({ lowers: [lower], upper, work, merged }))
  t.teardown(() => execFileSync('umount', [merged]))
  await sameTrees(t, changed, merged, { ignore: ['modification-time'] })
})

t.test('goes through several lower folders', { skip }, async t => {
  const folder = t.testdir()
  const names = ['one', 'two', 'upper']
  const [one = '', two = '', upper = ''] = names.map(name => join(folder, name))
  shell(folder, [
    'mkdir -p one/a one/b two/a two/b upper/a upper/b upper/d',
    'touch one/a/x one/b/y one/c; mknod two/c c 0 0; touch two/a/z',
    'setfattr -n trusted.overlay.opaque -v y two/b',
    // x is below, y is hidden by two, c is gone already, z is in two.
    'mknod upper/a/x c 0 0; mknod upper/b/y c 0 0; mknod upper/c c 0 0; touch upper/a/z',
    'touch -d @1 one two upper one/a two/a upper/a two/b upper/b',
  ])
  t.same(await describeChanges(overlayChanges({ upper, lowers: [two, one] })), [
    'D /a/x',
    'C /a/z',
    'A /d',
  ])
})

t.test('refuses an upper folder whose entries are not whole', { skip }, async t => {
  for (const name of ['metacopy', 'redirect', 'whiteout']) {
    const folder = t.testdir()
    mkdirSync(join(folder, 'upper'))
    shell(folder, [`touch upper/f; setfattr -n trusted.overlay.${name} -v x upper/f`])
    const changes = overlayChanges({ upper: join(folder, 'upper'), lowers: [] })
    await t.rejects(describeChanges(changes), NotRepresentableError, name)
  }
})

t.test('refuses to write a name that would be a mark', { skip }, async t => {
  const folder = t.testdir({ '.wh.name': '' })
  await t.rejects(layerOf(folderChanges(undefined, folder)), NotRepresentableError)
})

t.test('writes all names of a file of which one is new', { skip }, async t => {
  const folder = t.testdir()
  const { lower, upper } = placesIn(folder)
  mkdirSync(lower)
  shell(lower, [
    'mkdir a z; echo x > a/first; echo y > z/last; touch -d @1.5 a/first z/last',
  ])
  copyFolder(lower, upper)
  shell(upper, ['ln a/first m; ln z/last n'])
  const layers = [
    await layerOf(folderChanges(lower, upper)),
    await layerOf(treeChanges(await storePart(lower), await storePart(upper))),
  ]
  for (const layer of layers) {
    const listed = execFileSync('tar', ['-tvf', '-'], { input: layer }).toString()
    for (const name of ['a/first', 'm', 'n', 'z/last']) {
      t.match(listed, new RegExp(` ${name}( |$)`, 'm'), name)
    }
    t.equal(listed.match(/^h/gm)?.length, 2)
  }
})

function deletions(lines: readonly string[]): string[] {
  return lines.filter(line => line.startsWith('D '))
}

function trees(folder: string): { lower: string; upper: string; out: string } {
  const places = placesIn(folder)
  makeLowerTree(places.lower)
  copyFolder(places.lower, places.upper)
  changeTree(places.upper)
  return places
}

function overlayMount(place: {
  readonly lowers: readonly string[]
  readonly upper: string
  readonly work: string
  readonly merged: string
}): string[] {
  const { lowers, upper, work, merged } = place
  const options = `index=off,lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work}`
  return ['-t', 'overlay', 'overlay', '-o', options, merged]
}
