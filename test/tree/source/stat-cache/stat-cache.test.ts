import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { algorithms } from '../../../../lib/object/algorithm.js'
import { initRepository } from '../../../../lib/repository/init.js'
import type { Repository } from '../../../../lib/repository/repository.js'
import { hasNativeCalls } from '../../../../lib/system/libc.js'
import { setXattr } from '../../../../lib/system/xattr.js'
import { StatCache } from '../../../../lib/tree/source/stat-cache/stat-cache.js'
import { storeApplication } from '../../../../lib/tree/source/store-application.js'
import { countContents } from '../../../support/counting-session.js'
import {
  makeMemoryFolder,
  needsRoot,
  removeFolder,
} from '../../../support/source-folder.js'

const skip = hasNativeCalls() ? false : 'needs native calls'
const minute = 60_000

/** A folder on a filesystem with inodes that stay, with files of several kinds. */
function makeSource(t: Test): string {
  const source = makeMemoryFolder()
  t.teardown(() => removeFolder(source))
  mkdirSync(join(source, 'inner'))
  writeFileSync(join(source, 'plain'), 'plain')
  writeFileSync(join(source, 'empty'), '')
  writeFileSync(join(source, 'inner/large'), Buffer.alloc(700_000, 'large'))
  writeFileSync(join(source, 'inner/linked'), 'linked')
  linkSync(join(source, 'inner/linked'), join(source, 'inner/other name'))
  return source
}
const contentsOfSource = 4

async function makeRepository(
  root: string,
  layout: 'pack' | 'loose' = 'pack',
): Promise<Repository> {
  const algorithm = algorithms[10]
  if (algorithm === undefined) throw new Error('no algorithm')
  return initRepository(root, { algorithm, layout, compression: 'none' })
}

/** Stores a folder a minute after it was made, unless told; tells how many files were read. */
async function store(
  repository: Repository,
  source: string,
  { later = minute }: { later?: number } = {},
): Promise<{ digest: string; contents: number }> {
  await using session = await repository.begin({
    purpose: 'store',
    publishing: 'gradual',
  })
  const objects = countContents(session.objects)
  const { algorithm } = repository.config
  const parts = { folder: repository.cacheFolder, temp: session.folder, algorithm }
  using cache = new StatCache({ ...parts, now: Date.now() + later })
  const { descriptor } = await storeApplication(source, objects, { cache })
  await session.objects.publish([descriptor.digest])
  cache.save()
  return { digest: descriptor.digest, contents: objects.contents }
}

/** What a store into a new repository says. */
async function digestElsewhere(folder: string, source: string): Promise<string> {
  const repository = await makeRepository(join(mkdtempSync(join(folder, 'fresh-')), 'r'))
  return (await store(repository, source)).digest
}

for (const layout of ['pack', 'loose'] as const) {
  t.test(`${layout}: reads no file again that has not changed`, { skip }, async t => {
    const source = makeSource(t)
    const repository = await makeRepository(join(t.testdir({}), 'repository'), layout)
    const first = await store(repository, source)
    t.equal(first.contents, contentsOfSource)
    t.same(await store(repository, source), { ...first, contents: 0 })
  })
}

t.test('reads what changed and took its size and mtime back', { skip }, async t => {
  const source = makeSource(t)
  const repository = await makeRepository(join(t.testdir({}), 'repository'))
  const seen = new Set([(await store(repository, source)).digest])
  for (const [index, name] of ['plain', 'inner/large', 'inner/linked'].entries()) {
    const path = join(source, name)
    const { atimeMs, mtimeMs, size } = statSync(path)
    writeFileSync(path, Buffer.alloc(size, 'other'))
    utimesSync(path, atimeMs / 1000, mtimeMs / 1000)
    const after = await store(repository, source)
    t.equal(after.contents, 1)
    seen.add(after.digest)
    t.equal(seen.size, index + 2)
  }
})

t.test('reads a file whose attributes changed', { skip: needsRoot }, async t => {
  const source = makeSource(t)
  const repository = await makeRepository(join(t.testdir({}), 'repository'))
  const first = await store(repository, source)
  const value = Buffer.from('value')
  for (const name of ['plain', 'inner/linked']) {
    setXattr(Buffer.from(join(source, name)), Buffer.from('trusted.cairn'), value)
  }
  const second = await store(repository, source)
  t.equal(second.contents, 2)
  t.not(second.digest, first.digest)
  t.same(await store(repository, source), { ...second, contents: 0 })
})

t.test('does not remember what changed within the last second', { skip }, async t => {
  const source = makeSource(t)
  const repository = await makeRepository(join(t.testdir({}), 'repository'))
  const names = ['plain', 'empty', 'inner/large', 'inner/linked']
  const times = names.map(name => statSync(join(source, name)).ctimeMs)
  const storeAt = async (now: number) =>
    (await store(repository, source, { later: now - Date.now() })).contents
  t.equal(await storeAt(Math.min(...times) + 900), contentsOfSource)
  t.equal(await storeAt(Math.max(...times) + 1100), contentsOfSource)
  t.equal(await storeAt(Math.max(...times) + 1100), 0)
})

t.test('stores what the repository does not hold any more', { skip }, async t => {
  const source = makeSource(t)
  const repository = await makeRepository(join(t.testdir({}), 'repository'))
  const first = await store(repository, source)
  for (const grace of [24 * 60 * minute, 0]) {
    await repository.gc({ grace })
    t.same(await store(repository, source), first, 'condemned, then gone')
  }
  for await (const finding of repository.check()) t.not(finding.severity, 'error')
  t.same(await store(repository, source), { ...first, contents: 0 })
})

t.test('keeps what it knows of one folder while others are stored', { skip }, async t => {
  const [one, other] = [makeSource(t), makeSource(t)]
  const repository = await makeRepository(join(t.testdir({}), 'repository'))
  await store(repository, one)
  await store(repository, other)
  t.equal((await store(repository, one)).contents, 0)
  t.equal((await store(repository, other)).contents, 0)
})

t.test('forgets what was of no use for two months', { skip }, async t => {
  const [one, other] = [makeSource(t), makeSource(t)]
  const repository = await makeRepository(join(t.testdir({}), 'repository'))
  const day = 24 * 60 * minute
  await store(repository, one)
  await store(repository, other)
  t.equal((await store(repository, one, { later: 40 * day })).contents, 0)
  truncateSync(join(one, 'plain'), 1)
  t.equal((await store(repository, one, { later: 80 * day })).contents, 1)
  t.equal((await store(repository, one, { later: 80 * day })).contents, 0)
  t.equal((await store(repository, other)).contents, contentsOfSource)
})

t.test('gives the same digest as a store without it', { skip }, async t => {
  const source = makeSource(t)
  const folder = t.testdir({})
  const repository = await makeRepository(join(folder, 'repository'))
  for (const content of ['plain', 'changed']) {
    writeFileSync(join(source, 'plain'), content)
    await store(repository, source)
    const { digest } = await store(repository, source)
    t.equal(digest, await digestElsewhere(folder, source))
  }
})
