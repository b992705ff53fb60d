import { closeSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { NotRepresentableError } from '../../../lib/errors.js'
import type { Digest } from '../../../lib/object/digest.js'
import type { Repository } from '../../../lib/repository/repository.js'
import { ContentsByCalls } from '../../../lib/snapshot/content/contents-by-calls.js'
import {
  type LoadSnapshotOptions,
  loadSnapshot,
} from '../../../lib/snapshot/content/load-snapshot.js'
import { openByPath } from '../../../lib/snapshot/content/open-tree.js'
import {
  type SaveSnapshotOptions,
  saveSnapshot,
} from '../../../lib/snapshot/content/save-snapshot.js'
import type { SnapshotContents } from '../../../lib/snapshot/content/snapshot-contents.js'
import type { DriverName } from '../../../lib/snapshot/driver/snapshot-driver.js'
import type { LocalSnapshotter } from '../../../lib/snapshot/local-snapshotter.js'
import { openSnapshotter } from '../../../lib/snapshot/open-snapshotter.js'
import { storeApplication } from '../../../lib/tree/source/store-application.js'
import { sameTrees } from '../../support/compare-trees.js'
import { changeTree, makeLowerTree, shell } from '../../support/layer-trees.js'
import { makeRepository } from '../../support/scratch-repository.js'
import {
  commitLayer,
  key,
  labels,
  lookAt,
  type Subject,
  walkAll,
} from '../../support/snapshots/subject.js'

const skip = process.getuid?.() === 0 ? false : 'only root may mount'

type Place = Subject & {
  readonly snapshotter: LocalSnapshotter
  readonly repository: Repository
}

async function makePlace(t: Test, driver: DriverName): Promise<Place> {
  const folder = t.testdir({})
  const repository = await makeRepository(folder)
  const root = join(folder, 'root')
  const snapshotter = await openSnapshotter(root, { driver, contentSync: 'none' })
  t.teardown(() => snapshotter.close())
  const reopen = async () => snapshotter
  return { snapshotter, repository, driver, root, folder, reopen }
}

async function save(
  { repository }: Place,
  contents: SnapshotContents,
  name: string,
  content: SaveSnapshotOptions['content'],
): Promise<Digest> {
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const { objects, folder: scratch } = session
  const options = { content, mtimes: true, scratch }
  const { descriptor } = await saveSnapshot(contents, key(name), objects, options)
  await objects.publish([descriptor.digest])
  return descriptor.digest
}

const load = async (
  { repository }: Place,
  contents: SnapshotContents,
  [application, name]: readonly [Digest, string],
  options: LoadSnapshotOptions = {},
) =>
  loadSnapshot(contents, key(name), { reader: repository.objects, application }, options)

async function sameSnapshots(
  t: Test,
  place: Place,
  [expected, found]: [string, string],
): Promise<void> {
  await lookAt(place, expected, async one =>
    lookAt(place, found, async other => sameTrees(t, one, other)),
  )
}

/** Two layers of a few files. */
async function makeSmallLayers(place: Place): Promise<void> {
  const base = ['mkdir -p a/b', 'echo 1 > a/b/file', 'echo 2 > gone', 'ln gone a/gone']
  const top = ['rm -r gone a/b', 'mkdir a/b', 'echo 3 > a/b/other']
  await commitLayer(place, { name: 'base', change: root => shell(root, base) })
  const change = (root: string): void => shell(root, top)
  await commitLayer(place, { name: 'top', parent: 'base', change })
}

async function makeLayers(place: Place): Promise<void> {
  const lower = join(place.folder, 'lower')
  makeLowerTree(lower)
  // Its holes are read in full each time.
  shell(lower, ['truncate -s 1M sparse'])
  const fill = (root: string): void =>
    shell(place.folder, [`cp -a '${lower}/.' '${root}'`])
  await commitLayer(place, { name: 'base', change: fill })
  await commitLayer(place, { name: 'top', parent: 'base', change: changeTree })
}

for (const driver of ['overlay', 'native'] as const) {
  for (const way of ['in place', 'by calls'] as const) {
    t.test(`gives back what it saved (${driver}, ${way})`, { skip }, async t => {
      const place = await makePlace(t, driver)
      await makeLayers(place)
      const contents =
        way === 'in place' ? place.snapshotter : new ContentsByCalls(place.snapshotter)
      const tree = await save(place, contents, 'top', 'tree')
      await load(place, contents, [tree, 'whole'])
      await sameSnapshots(t, place, ['top', 'whole'])

      const first = await save(place, contents, 'base', 'changes')
      const second = await save(place, contents, 'top', 'changes')
      await load(place, contents, [first, 'lower'])
      await load(place, contents, [second, 'upper'], {
        parent: key('lower'),
        labels: labels({ a: 'b' }),
      })
      await sameSnapshots(t, place, ['base', 'lower'])
      await sameSnapshots(t, place, ['top', 'upper'])
      const info = await place.snapshotter.stat(key('upper'))
      t.match(info, { kind: 'committed', parent: 'lower', labels: labels({ a: 'b' }) })
      t.equal(await save(place, contents, 'upper', 'changes'), second, 'the same changes')
      t.equal((await walkAll(place.snapshotter)).length, 5, 'no snapshot is left behind')
    })
  }

  t.test(`saves what an active snapshot has now (${driver})`, { skip }, async t => {
    const place = await makePlace(t, driver)
    await makeSmallLayers(place)
    const { snapshotter } = place
    await snapshotter.prepare(key('work'), { parent: key('top') })
    const top = await save(place, snapshotter, 'top', 'tree')
    t.equal(await save(place, snapshotter, 'work', 'tree'), top)
    await snapshotter.view(key('view'), { parent: key('top') })
    t.equal(await save(place, snapshotter, 'view', 'tree'), top)
    await t.rejects(save(place, snapshotter, 'view', 'changes'), {
      code: 'wrong_snapshot_kind',
    })
    await t.rejects(save(place, snapshotter, 'absent', 'tree'), {
      code: 'snapshot_not_found',
    })
  })

  t.test(`writes equal content once (${driver})`, { skip }, async t => {
    const place = await makePlace(t, driver)
    await makeSmallLayers(place)
    const { snapshotter, root } = place
    const tree = await save(place, snapshotter, 'base', 'tree')
    const changes = await save(place, snapshotter, 'top', 'changes')
    const loaded = [
      await load(place, snapshotter, [tree, 'one']),
      await load(place, snapshotter, [tree, 'two']),
      await load(place, snapshotter, [changes, 'on one'], { parent: key('one') }),
      // The files of both parents are the same ones.
      await load(place, snapshotter, [changes, 'on two'], { parent: key('two') }),
      await load(place, snapshotter, [changes, 'on base'], { parent: key('base') }),
    ]
    t.same(
      loaded.map(({ shared }) => shared),
      [false, true, false, true, false],
    )
    const folders = (): number => readdirSync(join(root, 's')).length
    t.equal(folders(), 5)
    await sameSnapshots(t, place, ['top', 'on two'])
    t.same(await snapshotter.usage(key('one')), await snapshotter.usage(key('two')))

    await snapshotter.remove(key('on one'))
    await snapshotter.remove(key('one'))
    await snapshotter.cleanup()
    t.equal(folders(), 5, 'what another snapshot has stays')
    await snapshotter.close()
    const again = await openSnapshotter(root, { contentSync: 'none' })
    t.teardown(() => again.close())
    t.match(again.recovery, { orphans: 0, missing: [] })
    await sameSnapshots(t, { ...place, snapshotter: again }, ['top', 'on two'])
    await again.remove(key('on two'))
    await again.remove(key('two'))
    await again.cleanup()
    t.equal(folders(), 3, 'the last one takes the files with it')
    t.same(readdirSync(join(root, 'trash')), [])
  })

  t.test(`makes nothing when a load fails (${driver})`, { skip }, async t => {
    const place = await makePlace(t, driver)
    await makeSmallLayers(place)
    const { snapshotter, root, repository } = place
    const tree = await save(place, snapshotter, 'base', 'tree')
    const changes = await save(place, snapshotter, 'top', 'changes')
    await t.rejects(load(place, snapshotter, [tree, 'whole'], { parent: key('base') }), {
      code: 'invalid_argument',
    })
    await t.rejects(load(place, snapshotter, [tree, 'top']), { code: 'snapshot_exists' })
    await t.rejects(load(place, snapshotter, [changes, 'x'], { parent: key('none') }), {
      code: 'snapshot_not_found',
    })
    for (const application of [tree, changes]) {
      const controller = new AbortController()
      const onProgress = (): void => controller.abort(new Error('enough'))
      const { signal } = controller
      await t.rejects(
        load(place, snapshotter, [application, 'stopped'], { onProgress, signal }),
        { message: 'enough' },
      )
    }
    const marked = join(place.folder, 'marked')
    shell(place.folder, ['mkdir marked', 'mknod marked/device c 0 0'])
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'whole',
    })
    const { descriptor } = await storeApplication(marked, session.objects)
    await session.objects.publish([descriptor.digest])
    await t.rejects(
      load(place, snapshotter, [descriptor.digest, 'marked']),
      NotRepresentableError,
    )
    t.equal((await walkAll(snapshotter)).length, 2)
    await snapshotter.cleanup()
    t.equal(readdirSync(join(root, 's')).length, 2)
  })
}

t.test('shares the files of loads that run together', { skip }, async t => {
  const place = await makePlace(t, 'overlay')
  await commitLayer(place, {
    name: 'base',
    change: root => writeFileSync(join(root, 'file'), 'x'),
  })
  const { snapshotter } = place
  const tree = await save(place, snapshotter, 'base', 'tree')
  const names = ['a', 'b', 'c', 'd']
  const loads = await Promise.all(
    names.map(async name => load(place, snapshotter, [tree, name])),
  )
  t.same(
    loads.map(({ shared }) => shared),
    [false, true, true, true],
  )
})

t.test('saves a snapshot of more layers than one option names', { skip }, async t => {
  const place = await makePlace(t, 'overlay')
  const { snapshotter, folder } = place
  let parent = ''
  for (let layer = 0; layer < 30; layer++) {
    const name = `layer ${layer}`
    const change = (root: string): void => writeFileSync(join(root, `${layer}`), 'x')
    await commitLayer(place, { name, parent, change })
    parent = name
  }
  const tree = await save(place, snapshotter, parent, 'tree')
  await load(place, snapshotter, [tree, 'flat'])
  await lookAt(place, 'flat', root => t.equal(readdirSync(root).length, 30))

  // As kernels do it that know no other way.
  await using shown = await snapshotter.show(key(parent))
  const [mount] = shown.mounts
  const options = mount?.options ?? []
  const lowers = options.find(each => each.startsWith('lowerdir='))?.slice(9) ?? ''
  const others = options.filter(each => !each.startsWith('lowerdir='))
  const fd = openByPath(others, lowers, folder)
  t.equal(readdirSync(`/proc/self/fd/${fd}/.`).length, 30)
  closeSync(fd)
})
