import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { walkClosure } from '../../lib/closure/closure-walk.js'
import { CairnError } from '../../lib/errors.js'
import type { Descriptor } from '../../lib/object/descriptor.js'
import type { Digest } from '../../lib/object/digest.js'
import { writeBundleFile } from '../../lib/remote/bundle-file.js'
import { createBundle } from '../../lib/remote/create-bundle.js'
import { importBundle } from '../../lib/remote/import-bundle.js'
import type { Repository } from '../../lib/repository/repository.js'
import { writeBundle } from '../../lib/store/pack/bundle.js'
import { plainSource } from '../../lib/store/pack/pack-stream-writer.js'
import {
  makePackedRepository,
  problemsOf,
  storeFiles,
} from '../support/packed-repository.js'
import { makeRepository } from '../support/scratch-repository.js'
import { seededRandom } from '../support/seeded-random.js'
import { noise, prose } from '../support/stored-objects.js'

const contents = [
  Buffer.alloc(0),
  prose(5000, 1),
  noise(20_000, 2),
  prose(12 * 1024 * 1024, 3),
  noise(9 * 1024 * 1024, 4),
]

async function makeBundle(repository: Repository, refs: readonly string[]) {
  const { head, bytes } = await createBundle(repository, refs)
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return { head, bytes: Buffer.concat(chunks) }
}

async function take(repository: Repository, bytes: Uint8Array, tagPrefix?: string) {
  const source = Readable.from([bytes])
  const named = tagPrefix === undefined ? {} : { tagPrefix }
  return importBundle(source, repository, { where: 'test', ...named })
}

/** Expects one of our errors. */
async function refused(t: Test, taking: Promise<unknown>, what = ''): Promise<void> {
  try {
    await taking
    t.fail(`${what} was taken`)
  } catch (error) {
    t.ok(error instanceof CairnError, `${what} ${String(error)}`)
  }
}

async function objectsIn(repository: Repository): Promise<Digest[]> {
  const found: Digest[] = []
  for await (const batch of repository.objects.list()) found.push(...batch)
  return found
}

/** Whether nothing of a failed import is left. */
async function isUntouched(repository: Repository): Promise<boolean> {
  const temp = readdirSync(join(repository.root, 'temp'))
  return (
    (await objectsIn(repository)).length === 0 &&
    (await repository.tags.names()).length === 0 &&
    temp.length === 0
  )
}

for (const kind of ['loose', 'none', 'zstd:3'] as const) {
  t.test(`carries trees into every layout, from ${kind}`, async t => {
    const folder = t.testdir({ from: {}, loose: {}, pack: {} })
    const from =
      kind === 'loose'
        ? await makeRepository(join(folder, 'from'))
        : await makePackedRepository(join(folder, 'from'), kind)
    const first = await storeFiles(from, contents, 'first')
    const second = await storeFiles(from, contents.slice(1), 'second')
    const { head, bytes } = await makeBundle(from, ['first', 'second', second.digest])
    t.same(head.roots, [first, second])
    t.same((await makeBundle(from, ['first', 'second', 'second'])).bytes, bytes)
    for (const to of [
      await makeRepository(join(folder, 'loose')),
      await makePackedRepository(join(folder, 'pack')),
    ]) {
      const taken = await take(to, bytes)
      t.same(taken.roots, [first, second])
      t.same(taken.tags, [])
      t.same(await to.tags.names(), [], 'no tag unless asked')
      t.same(await objectsIn(to), await objectsIn(from))
      await take(to, bytes, 'their-')
      t.same(await to.tags.get('their-second'), second)
      t.same(await to.tags.names(), ['their-first', 'their-second'])
      t.same(await problemsOf(to), [])
    }
  })
}

t.test('names no root by a digest, a former value or a prefix of one', async t => {
  const from = await makePackedRepository(t.testdir())
  const first = await storeFiles(from, ['one'], 'tag')
  const second = await storeFiles(from, ['two'], 'tag')
  const refs = ['tag@{1}', second.digest.slice(0, 12)]
  const { head } = await makeBundle(from, refs)
  t.same(head, { roots: [first, second], tags: [] })
  await t.rejects(makeBundle(from, ['nothing']), { code: 'ref_not_found' })
})

t.test('keeps nothing of a bundle that is cut off, anywhere', async t => {
  const folder = t.testdir({ from: {} })
  const from = await makePackedRepository(join(folder, 'from'))
  await storeFiles(from, ['one', prose(3000, 1), noise(20_000, 2)], 'tag')
  const { bytes } = await makeBundle(from, ['tag'])
  const to = await makePackedRepository(folder)
  const step = Math.max(1, Math.floor(bytes.length / 150))
  for (let length = 0; length < bytes.length; length += step) {
    await refused(t, take(to, bytes.subarray(0, length), ''))
  }
  await refused(t, take(to, Buffer.concat([bytes, Buffer.of(0)]), ''))
  t.ok(await isUntouched(to))
})

t.test('keeps nothing of a bundle with a wrong byte, anywhere', async t => {
  for (const compression of ['none', 'zstd:3'] as const) {
    const folder = t.testdir({ [compression]: { from: {} } })
    const place = join(folder, compression)
    const from = await makePackedRepository(join(place, 'from'), compression)
    await storeFiles(from, ['one', prose(30_000, 1), noise(20_000, 2)], 'tag')
    const { bytes } = await makeBundle(from, ['tag'])
    const to = await makePackedRepository(place)
    const random = seededRandom(7)
    for (let turn = 0; turn < 150; turn++) {
      const at = Math.floor(random() * bytes.length)
      const bad = Buffer.from(bytes)
      bad.writeUInt8((bad.readUInt8(at) ^ (1 << (turn % 8))) & 0xff, at)
      await refused(t, take(to, bad, ''), `byte ${at}`)
    }
    t.ok(await isUntouched(to))
  }
})

/** A bundle of these objects only, whatever they refer to. */
async function partial(
  from: Repository,
  root: Descriptor,
  chooses: (one: Descriptor, index: number) => boolean,
  order: 'children-first' | 'parents-first' = 'children-first',
): Promise<Buffer> {
  const all: Descriptor[] = []
  for await (const batch of walkClosure(from.objects, [root], { order })) {
    all.push(...batch)
  }
  const digests = all.filter(chooses).map(({ digest }) => digest)
  // One batch and segment each, so that order counts.
  const tags = [{ name: 'tag' as never, root: 0 }]
  const head = { roots: [root], tags }
  const chunks: Uint8Array[] = []
  const batches = digests.map(digest => [digest])
  for await (const chunk of writeBundle(head, batches, plainSource(from.objects))) {
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

t.test('refuses a bundle that lacks any one object', async t => {
  const folder = t.testdir({ from: {} })
  const from = await makePackedRepository(join(folder, 'from'))
  const root = await storeFiles(from, ['one', 'two', prose(3000, 1)], 'tag')
  const to = await makePackedRepository(folder)
  for (let left = 0; left < 7; left++) {
    const bytes = await partial(from, root, (_, index) => index !== left)
    await t.rejects(take(to, bytes, ''), { code: 'incomplete_closure' }, `${left}`)
  }
  t.ok(await isUntouched(to))
  const whole = await partial(from, root, () => true)
  await take(to, whole, '')
  t.same(await to.tags.get('tag'), root)
})

t.test(
  'refuses roots that are not what the head says, and names no tag can have',
  async t => {
    const folder = t.testdir({ from: {} })
    const from = await makePackedRepository(join(folder, 'from'))
    const root = await storeFiles(from, ['one'], 'tag')
    const to = await makePackedRepository(folder)
    for (const wrong of [
      { ...root, size: root.size + 1 },
      { ...root, subObjectCount: root.subObjectCount + 1 },
      { ...root, type: 'directory' as const },
    ]) {
      const { bytes } = await makeBundle(from, ['tag'])
      const honest = await partial(from, root, () => true)
      t.ok(bytes.length > 0)
      const lying: Uint8Array[] = []
      const digests: Digest[][] = []
      for await (const batch of walkClosure(from.objects, [root], {
        order: 'children-first',
      })) {
        digests.push(batch.map(({ digest }) => digest))
      }
      const head = { roots: [wrong], tags: [] }
      for await (const chunk of writeBundle(head, digests, plainSource(from.objects))) {
        lying.push(chunk)
      }
      await t.rejects(take(to, Buffer.concat(lying)))
      await t.rejects(take(to, honest, '../'), { code: 'invalid_tag_name' })
    }
    t.ok(await isUntouched(to))
  },
)

t.test('hands on nothing that is damaged here', async t => {
  for (const compression of ['none', 'zstd:3'] as const) {
    const folder = t.testdir({ [compression]: {} })
    const from = await makePackedRepository(join(folder, compression), compression)
    await storeFiles(from, [prose(12 * 1024 * 1024, 3), prose(5000, 1)], 'tag')
    for (const digest of await objectsIn(from)) {
      t.ok(await damaged(t, from, digest), `${compression} ${digest}`)
    }
  }
})

/** Whether a bundle is refused while one object has a wrong byte. */
async function damaged(t: Test, from: Repository, digest: Digest): Promise<boolean> {
  const folder = join(from.root, 'packs')
  const { openPackStore } = await import('../../lib/store/pack/pack-store.js')
  using store = openPackStore(from.root)
  const found = store.folder.findFresh(digest)
  if (found === undefined) return false
  const path = join(folder, found.pack.name)
  const bytes = readFileSync(path)
  const at = found.place.offset + Math.floor(found.place.storedSize / 2)
  const whole = Buffer.from(bytes)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(path, bytes)
  try {
    await makeBundle(from, ['tag'])
    return false
  } catch (error) {
    t.ok(error instanceof CairnError, String(error))
    return true
  } finally {
    writeFileSync(path, whole)
  }
}

t.test('makes a file when it is whole, and replaces only files', async t => {
  const folder = t.testdir({ folder: {} })
  const from = await makePackedRepository(folder)
  await storeFiles(from, ['one', 'two'], 'tag')
  const path = join(folder, 'bundle')
  writeFileSync(path, 'older')
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    const { bytes } = await createBundle(from, ['tag'])
    yield* bytes
    throw new Error('in the middle')
  }
  await t.rejects(writeBundleFile(path, failing()), { message: 'in the middle' })
  t.equal(readFileSync(path, 'utf8'), 'older')
  t.same(readdirSync(folder).toSorted(), ['bundle', 'folder', 'repository'])
  const { bytes } = await createBundle(from, ['tag'])
  await writeBundleFile(path, bytes)
  t.ok(statSync(path).size > 100)
  symlinkSync('bundle', join(folder, 'link'))
  for (const name of ['folder', 'link']) {
    await t.rejects(writeBundleFile(join(folder, name), failing()), {
      code: 'destination_refused',
    })
  }
})
