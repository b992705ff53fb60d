import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseTagName } from '../../../lib/object/tag-name.js'
import { HeldLayers } from '../../../lib/snapshot/content/held-layers.js'
import { RemoteSnapshotter } from '../../../lib/snapshot/content/remote-snapshotter.js'
import { openSnapshotter } from '../../../lib/snapshot/open-snapshotter.js'
import { storeApplication } from '../../../lib/tree/source/store-application.js'
import { makeRepository } from '../../support/scratch-repository.js'
import { key, labels, walkAll } from '../../support/snapshots/subject.js'

const reference = 'containerd.io/snapshot.ref'
const own = 'containerd.io/snapshot/cairn.ref'
const chain = (digit: string): string => `sha256:${digit.repeat(64)}`
const tagOf = (digit: string) => parseTagName(`layer-sha256-${digit.repeat(64)}`)

async function start(t: Test) {
  const folder = t.testdir({ secret: { file: 'secret' } })
  const repository = await makeRepository(folder)
  const problems: string[] = []
  const options = { driver: 'native', contentSync: 'none' } as const
  const local = await openSnapshotter(join(folder, 'root'), options)
  const layers = new HeldLayers(repository, 'test')
  const onProblem = (layer: string): void => void problems.push(layer)
  const snapshotter = await RemoteSnapshotter.start(local, layers, onProblem)
  t.teardown(() => snapshotter.close())
  /** Prepares, writes and commits as a client does that unpacks a layer. */
  const unpack = async (digit: string, parent = ''): Promise<void> => {
    const given = labels({ [reference]: chain(digit) })
    const made = { parent: key(parent), labels: given }
    const [mount] = await snapshotter.prepare(key('extract'), made)
    writeFileSync(join(mount?.source ?? '', digit), digit)
    await snapshotter.commit(key(`unpacked ${digit}`), key('extract'), { labels: given })
  }
  const ask = async (digit: string, parent = '', more: Record<string, string> = {}) =>
    snapshotter.prepare(key('asked'), {
      parent: key(parent),
      labels: labels({ [reference]: chain(digit), ...more }),
    })
  return { folder, repository, snapshotter, local, layers, problems, unpack, ask }
}

t.test('answers that a layer is there when another client unpacked it', async t => {
  const { snapshotter, unpack, ask } = await start(t)
  await unpack('a')
  await unpack('b', 'unpacked a')
  await t.rejects(ask('a'), { code: 'snapshot_exists' })
  await t.rejects(ask('b', 'unpacked a'), { code: 'snapshot_exists' })
  t.same(
    (await walkAll(snapshotter)).map(({ name }) => name),
    ['unpacked a', 'unpacked b'],
    'the key was never taken',
  )
  await t.rejects(ask('b', 'none'), { code: 'snapshot_not_found' })
  await snapshotter.settled()
})

t.test('brings layers back from the repository', async t => {
  const { snapshotter, repository, unpack, ask, problems } = await start(t)
  await unpack('a')
  await unpack('b', 'unpacked a')
  await snapshotter.settled()
  for (const digit of ['a', 'b']) t.ok(await repository.tags.find(tagOf(digit)))
  await snapshotter.remove(key('unpacked b'))
  await snapshotter.remove(key('unpacked a'))
  const asked = await Promise.allSettled([ask('a'), ask('a')])
  t.same(
    asked.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  await t.rejects(ask('b', chain('a')), { code: 'snapshot_exists' })
  t.match(await snapshotter.stat(key(chain('b'))), {
    kind: 'committed',
    parent: chain('a'),
    labels: labels({ [reference]: chain('b') }),
  })
  const [view] = await snapshotter.view(key('view'), { parent: key(chain('b')) })
  for (const digit of ['a', 'b']) {
    t.equal(readFileSync(join(view?.source ?? '', digit), 'utf8'), digit)
  }
  t.same(problems, [])
  t.ok(await ask('c'), 'what is not held is unpacked as ever')
})

t.test('stores after a restart what was not stored before', async t => {
  const { local, layers, repository, problems } = await start(t)
  const given = labels({ [reference]: chain('d') })
  await local.prepare(key('extract'))
  await local.commit(key('d'), key('extract'), { labels: given })
  t.equal(await repository.tags.find(tagOf('d')), undefined)
  const again = await RemoteSnapshotter.start(local, layers, () => undefined)
  await again.settled()
  t.ok(await repository.tags.find(tagOf('d')))
  t.same(problems, [])
})

t.test('shows no image what does not say itself that it is its layer', async t => {
  const { folder, snapshotter, repository, ask, unpack } = await start(t)
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const { descriptor } = await storeApplication(join(folder, 'secret'), session.objects)
  await session.objects.publish([descriptor.digest])
  for (const tag of ['secret', tagOf('a')]) {
    await repository.tags.set(parseTagName(tag), descriptor, { who: 'test' })
  }
  for (const ref of ['secret', descriptor.digest, '../secret', '', 'secret@{0}']) {
    t.ok(await ask('a', '', { [own]: ref }), `${ref} is passed over`)
    await snapshotter.remove(key('asked'))
  }
  // A layer that is held is no other layer.
  await unpack('b')
  await snapshotter.settled()
  await snapshotter.remove(key('unpacked b'))
  t.ok(await ask('c', '', { [own]: tagOf('b') }))
  await t.rejects(ask('b', '', { [own]: tagOf('b') }), { code: 'snapshot_exists' })
})

t.test('leaves to a download what it cannot load', async t => {
  const { snapshotter, local, unpack, ask, problems } = await start(t)
  await unpack('a')
  await snapshotter.settled()
  await snapshotter.remove(key('unpacked a'))
  await local.prepare(key(chain('a')))
  t.ok(await ask('a'), 'its name is taken by something else')
  t.same(problems, [chain('a')])
})
