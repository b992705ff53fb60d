import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Digest } from '../../lib/object/digest.js'
import { openRepository } from '../../lib/repository/open.js'
import type { Repository } from '../../lib/repository/repository.js'
import {
  makePackedRepository,
  problemsOf,
  storeFiles,
} from '../support/packed-repository.js'
import { cairn, startCairn } from '../support/run-cairn.js'
import {
  makeRepository,
  makeVersion1Folder,
  placeObject,
  storeSmallTree,
} from '../support/scratch-repository.js'
import { seededRandom } from '../support/seeded-random.js'
import { cannotMount, withSmallFilesystem } from '../support/small-filesystem.js'
import { noise, prose } from '../support/stored-objects.js'

const rounds = process.env['CAIRN_TEST_LONG'] === undefined ? 4 : 60
const seed = Number(process.env['CAIRN_TEST_SEED'] ?? Date.now() % 1_000_000)

const contents = [
  Buffer.alloc(0),
  prose(5000, 1),
  noise(20_000, 2),
  prose(300_000, 3),
  noise(2 * 1024 * 1024, 4),
]

async function objectsIn(repository: Repository): Promise<Digest[]> {
  const found: Digest[] = []
  for await (const batch of repository.objects.list()) found.push(...batch)
  return found
}

/** All that must be the same after a migration. */
async function stateOf(root: string) {
  using repository = await openRepository(root)
  const { id, algorithm } = repository.config
  return {
    id,
    algorithm: algorithm.name,
    tags: await repository.tags.list(),
    logs: readdirSync(join(root, 'logs/tags')).map(name =>
      readFileSync(join(root, 'logs/tags', name), 'hex'),
    ),
    objects: await objectsIn(repository),
    problems: await problemsOf(repository),
  }
}

/** Names of what a migration may leave behind when it is broken off. */
function leftovers(root: string): string[] {
  const names = readdirSync(root).filter(name => /\.(old|loose|new)$/.test(name))
  const isPacked = statSync(join(root, 'objects')).isFile()
  if (isPacked !== existsSync(join(root, 'packs'))) names.push('packs')
  return [...names, ...readdirSync(join(root, 'temp'))]
}

t.test('keeps tags, logs and digests, from layout to layout', async t => {
  const repository = await makeRepository(t.testdir())
  const { root } = repository
  await storeFiles(repository, contents.slice(2), 'tag')
  await storeFiles(repository, contents, 'tag')
  await storeFiles(repository, [prose(400, 9)])
  const before = await stateOf(root)
  t.same(before.problems, [])
  for (const target of [
    { layout: 'pack' },
    { layout: 'loose' },
    { layout: 'pack', compression: 'zstd:3' },
    { layout: 'loose' },
  ] as const) {
    using opened = await openRepository(root)
    const report = await opened.migrate(target)
    t.match(report, { moved: true, objects: before.objects.length, config: target })
    t.same(await stateOf(root), before, JSON.stringify(target))
    t.same(leftovers(root), [])
    using after = await openRepository(root)
    t.match(after.config, target)
  }
})

t.test('changes only the compression where the layout stays', async t => {
  const repository = await makePackedRepository(t.testdir())
  const { root } = repository
  await storeFiles(repository, contents, 'tag')
  const packs = readdirSync(join(root, 'packs'))
  const report = await repository.migrate({ layout: 'pack', compression: 'zstd:9' })
  t.match(report, { moved: false, config: { compression: 'zstd:9' } })
  t.same(readdirSync(join(root, 'packs')), packs)
  await t.rejects(repository.migrate({ layout: 'loose', compression: 'zstd:9' }), {
    code: 'invalid_argument',
  })
})

t.test('takes what is not in its strict form as it is', async t => {
  const repository = await makeRepository(t.testdir())
  // A header with bytes behind its last field.
  const odd = placeObject(repository, 'header', Buffer.alloc(64, 0xff))
  await repository.migrate({ layout: 'pack' })
  using packed = await openRepository(repository.root)
  const [object] = await packed.objects.read([odd.digest])
  t.same(object?.payload, Buffer.alloc(64, 0xff))
  await packed.migrate({ layout: 'loose' })
  using loose = await openRepository(repository.root)
  t.equal((await loose.objects.has([odd.digest])).count(), 1)
})

t.test('gives a repository of version 1 a config', async t => {
  const root = makeVersion1Folder(t.testdir())
  using version1 = await openRepository(root)
  await version1.tags.set('tag', await storeSmallTree(version1, 1))
  await version1.migrate({ layout: 'pack' })
  using packed = await openRepository(root)
  t.match(packed.config, { id: String, layout: 'pack', algorithm: { id: 5 } })
  t.same(await problemsOf(packed), [])
  t.ok(await packed.tags.find('tag'))
})

t.test('lets nobody add to the layout that was', async t => {
  const { root } = await makeRepository(t.testdir())
  using stale = await openRepository(root)
  using opened = await openRepository(root)
  await opened.migrate({ layout: 'pack' })
  const adding = stale.begin({ purpose: 'store', publishing: 'gradual' })
  await t.rejects(adding, { code: 'repository_changed' })
  await t.rejects(stale.gc(), { code: 'repository_changed' })
  t.same(leftovers(root), [])
})

t.test('waits for sessions, takes what they stored, and gives up in time', async t => {
  const repository = await makeRepository(t.testdir())
  const { root } = repository
  using opened = await openRepository(root)
  {
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'gradual',
    })
    t.ok(session.number)
    const migrating = opened.migrate({ layout: 'pack' }, { wait: 50 })
    await t.rejects(migrating, { code: 'lock_busy' })
  }
  t.same(leftovers(root), [])
  const session = await repository.begin({ purpose: 'store', publishing: 'gradual' })
  let isLate = false
  const migrating = opened.migrate(
    { layout: 'pack' },
    { wait: 30_000, onProgress: () => (isLate = true) },
  )
  await session.objects.put([{ type: 'file', payload: prose(100, 5) }])
  await session.objects.publish([])
  await session[Symbol.asyncDispose]()
  await migrating
  t.ok(isLate)
  using packed = await openRepository(root)
  t.equal((await objectsIn(packed)).length, 1)
})

t.test('leaves everything as it was when an object cannot be read', async t => {
  for (const layout of ['loose', 'pack'] as const) {
    const folder = t.testdir({ [layout]: {} })
    const repository =
      layout === 'loose'
        ? await makeRepository(join(folder, layout))
        : await makePackedRepository(join(folder, layout))
    await storeFiles(repository, [noise(100_000, 4)], 'tag')
    const { root } = repository
    damage(root, layout)
    const before = await stateOf(root)
    using opened = await openRepository(root)
    const migrating = opened.migrate({ layout: layout === 'loose' ? 'pack' : 'loose' })
    await t.rejects(migrating, { code: 'corrupt_object' })
    t.same(await stateOf(root), before)
    t.same(leftovers(root), [])
  }
})

/** Changes a byte in the middle of the largest file of objects. */
function damage(root: string, layout: 'loose' | 'pack'): void {
  const folder = join(root, layout === 'loose' ? 'objects' : 'packs')
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(path => statSync(path).isFile())
  const [path = ''] = paths.toSorted(
    (one, other) => statSync(other).size - statSync(one).size,
  )
  const bytes = readFileSync(path)
  const at = bytes.length >> 1
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(path, bytes)
}

t.test('refuses before it begins where both do not fit', { skip: cannotMount }, async t =>
  withSmallFilesystem(t.testdir(), '2m', async folder => {
    const repository = await makePackedRepository(folder)
    await storeFiles(repository, [noise(1_200_000, 4)], 'tag')
    await t.rejects(repository.migrate({ layout: 'loose' }), {
      code: 'storage_full',
      message: /expected \d+ bytes free, found \d+/,
    })
    t.same(leftovers(repository.root), [])
    t.same(await problemsOf(repository), [])
  }),
)

t.test('clears what an older run left behind, with a collection too', async t => {
  for (const layout of ['loose', 'pack'] as const) {
    const folder = t.testdir({ [layout]: {} })
    const repository =
      layout === 'loose'
        ? await makeRepository(join(folder, layout))
        : await makePackedRepository(join(folder, layout))
    const { root } = repository
    await storeFiles(repository, contents, 'tag')
    const before = await stateOf(root)
    const other = layout === 'loose' ? 'packs' : 'objects'
    if (layout === 'pack') rmSync(join(root, 'objects'))
    for (const name of ['objects.loose', 'objects.old', 'packs.old', other]) {
      mkdirSync(join(root, name))
      writeFileSync(join(root, name, 'x.pack'), 'left over')
    }
    await repository.gc()
    t.same(leftovers(root), [])
    t.same(await stateOf(root), before)
  }
})

t.test('survives being killed at any time, in both directions', async t => {
  const random = seededRandom(seed)
  t.comment(`seed ${seed}`)
  const repository = await makeRepository(t.testdir())
  const { root } = repository
  const many = Array.from({ length: 400 }, (_, index) => prose(2000 + index, index))
  await storeFiles(repository, [...contents, ...many], 'tag')
  const before = await stateOf(root)
  for (let round = 0; round < rounds; round++) {
    const layout = round % 2 === 0 ? 'pack' : 'loose'
    const child = startCairn(['migrate', '--layout', layout], { repo: root })
    const ended = once(child, 'exit')
    const after = 60 + random() * 700
    const timer = setTimeout(() => child.kill('SIGKILL'), after)
    await ended
    clearTimeout(timer)
    t.same(await stateOf(root), before, `killed after ${after.toFixed(0)} ms`)
    await repeat(t, root, layout)
    t.same(await stateOf(root), before, 'after a repeat')
    t.same(leftovers(root), [])
  }
})

async function repeat(t: Test, root: string, layout: string): Promise<void> {
  const run = await cairn(['migrate', '--layout', layout], { repo: root })
  t.equal(run.code, 0, run.stderr)
}
