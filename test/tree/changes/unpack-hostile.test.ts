import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { InvalidArchiveError, LimitExceededError } from '../../../lib/errors.js'
import {
  type UnpackLayerOptions,
  unpackLayer,
} from '../../../lib/tree/changes/unpack-layer.js'
import { deepFolder } from '../../support/deep-folder.js'
import { isRoot } from '../../support/hard-tree.js'
import { archive, member, pieces } from '../../support/raw-archive.js'

const skip = isRoot ? false : 'needs root to give files their owners'

type Place = { readonly target: string; readonly outside: string }

const overlay: UnpackLayerOptions = { marks: { kind: 'overlay' } }

t.test('never leaves the folder', { skip }, async t => {
  const hostile: readonly (readonly [string, (place: Place) => readonly Buffer[]])[] = [
    ['..', () => [member('../outside/secret', 'regular', { content: 'x' })]],
    [
      'an own link',
      ({ outside }) => [
        member('l', 'symlink', { target: outside }),
        member('l/secret', 'regular', { content: 'x' }),
      ],
    ],
    [
      'an own link to what is above',
      () => [
        member('l', 'symlink', { target: '..' }),
        member('l/outside/new/', 'directory'),
      ],
    ],
    ['a link that was there', () => [member('was/secret', 'regular', { content: 'x' })]],
    ['a folder through a link that was there', () => [member('was/new/', 'directory')]],
    [
      'a hard link out',
      ({ outside }) => [member('h', 'hard-link', { target: join(outside, 'secret') })],
    ],
    [
      'a hard link through a link',
      () => [member('h', 'hard-link', { target: 'was/secret' })],
    ],
    [
      'a hard link through a chain',
      () => [
        member('a/b/up', 'symlink', { target: '../..' }),
        member('a/b/out', 'symlink', { target: 'up/../outside' }),
        member('h', 'hard-link', { target: 'a/b/out/secret' }),
      ],
    ],
    [
      'a folder that became a link',
      ({ outside }) => [
        member('d/', 'directory'),
        member('d', 'symlink', { target: outside }),
        member('d/secret', 'regular', { content: 'x' }),
      ],
    ],
    ['a mark behind a link', () => [member('was/.wh.secret', 'regular')]],
    ['an opaque mark behind a link', () => [member('was/.wh..wh..opq', 'regular')]],
    [
      'the root as a link',
      ({ outside }) => [member('.', 'symlink', { target: outside })],
    ],
    ['a mark for what is above', () => [member('.wh...', 'regular')]],
  ]
  for (const [name, members] of hostile) {
    for (const options of [{}, overlay]) {
      const place = newPlace(t)
      const bytes = archive(...members(place))
      await t.rejects(
        unpackLayer(pieces(bytes), place.target, options),
        InvalidArchiveError,
        name,
      )
      checkOutside(t, place, name)
    }
  }
})

t.test('replaces links instead of following them', { skip }, async t => {
  const place = newPlace(t)
  linkSync(join(place.outside, 'secret'), join(place.target, 'shared'))
  symlinkSync(join(place.outside, 'secret'), join(place.target, 'soft'))
  const facts = { content: 'new', permissions: 0o600, uid: 5, gid: 6 } as const
  await unpackLayer(
    pieces(
      archive(
        member('shared', 'regular', facts),
        member('soft', 'regular', facts),
        member('was/', 'directory', { permissions: 0o700, uid: 5 }),
      ),
    ),
    place.target,
  )
  t.equal(readFileSync(join(place.target, 'soft'), 'utf8'), 'new')
  t.ok(lstatSync(join(place.target, 'was')).isDirectory())
  checkOutside(t, place, 'replaced')
})

t.test('gives a link to nothing no target', { skip }, async t => {
  const place = newPlace(t)
  symlinkSync(join(place.outside, 'made'), join(place.target, 'dangling'))
  await unpackLayer(pieces(archive(member('dangling', 'fifo'))), place.target)
  t.notOk(existsSync(join(place.outside, 'made')))
})

t.test('lets no archive speak to an overlay', { skip }, async t => {
  const value = Buffer.from('y')
  for (const members of [
    [member('d', 'char-device')],
    [
      member('d/', 'directory', {
        xattrs: [{ key: Buffer.from('trusted.overlay.opaque'), value }],
      }),
    ],
    [
      member('f', 'regular', {
        xattrs: [{ key: Buffer.from('user.overlay.redirect'), value }],
      }),
    ],
  ]) {
    const place = newPlace(t)
    await t.rejects(
      unpackLayer(pieces(archive(...members)), place.target, overlay),
      InvalidArchiveError,
    )
  }
})

t.test('bounds how many entries it takes', { skip }, async t => {
  const { target } = newPlace(t)
  const bytes = archive(member('a/b/c/d', 'regular'))
  await t.rejects(
    unpackLayer(pieces(bytes), target, { maxEntries: 3 }),
    LimitExceededError,
  )
})

t.test('unpacks deeper than a path can be long', { skip }, async t => {
  const target = deepFolder(t, 'memory')
  const deep = 'd/'.repeat(3000)
  await unpackLayer(pieces(archive(member(deep, 'directory'))), target)
  await unpackLayer(pieces(archive(member('.wh.d', 'regular'))), target)
  t.same(readdirSync(target), [])
})

t.test('sets metadata of folders when nothing follows any more', { skip }, async t => {
  const { target } = newPlace(t)
  const time = { seconds: 1_000_000n, nanoseconds: 0 }
  await unpackLayer(
    pieces(
      archive(
        member('d/', 'directory', { permissions: 0o2555, uid: 7, gid: 8, time }),
        member('d/e/', 'directory', { permissions: 0, time }),
        member('d/e/f', 'regular', { time }),
      ),
    ),
    target,
  )
  const { mode, uid, mtimeMs } = statSync(join(target, 'd'))
  t.same([mode & 0o7777, uid, mtimeMs], [0o2555, 7, 1_000_000_000])
  t.equal(statSync(join(target, 'd/e')).mtimeMs, 1_000_000_000)
})

function newPlace(t: Test): Place {
  // Empty each time.
  const folder = join(t.testdir(), 'place')
  const place = { target: join(folder, 'target'), outside: join(folder, 'outside') }
  for (const made of [folder, place.target, place.outside]) mkdirSync(made)
  writeFileSync(join(place.outside, 'secret'), 'secret', { mode: 0o640 })
  symlinkSync(place.outside, join(place.target, 'was'))
  return place
}

function checkOutside(t: Test, { outside }: Place, name: string): void {
  t.same(readdirSync(outside), ['secret'], `${name}: nothing is made outside`)
  t.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'secret', name)
  const { mode, nlink, uid } = statSync(join(outside, 'secret'))
  t.same([mode & 0o7777, nlink, uid], [0o640, 1, 0], `${name}: nothing outside changes`)
}
