import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { encodeDescriptor } from '../../lib/object/descriptor.js'
import { parseDigest } from '../../lib/object/digest.js'
import { findTagName } from '../../lib/object/tag-name.js'
import { openRepository } from '../../lib/repository/open.js'
import type { SkippedTag } from '../../lib/repository/tag-store.js'
import { putHeader } from '../../lib/store/typed-object.js'
import { makeFifo } from '../../lib/system/special-file.js'
import { asOrdinaryUser } from '../support/ordinary-user.js'
import {
  makeRepository,
  makeVersion1Folder,
  objectPath,
  storeSmallTree,
  storeSmallTrees,
} from '../support/scratch-repository.js'

const badNames = [
  '',
  '.',
  '..',
  '.hidden',
  '-dash',
  'a/b',
  '../../../etc/passwd',
  'a b',
  'a\n',
  'a\0b',
  'ä',
  'a'.repeat(129),
  `05${'0'.repeat(64)}`,
]

t.test('keeps a tag as one descriptor in one file of mode 0600', async t => {
  const repository = await makeRepository(t.testdir())
  const descriptor = await storeSmallTree(repository, 1)
  await repository.tags.set('v1.0-beta_2', descriptor)
  const path = join(repository.root, 'refs/tags/v1.0-beta_2')
  t.ok(readFileSync(path).equals(encodeDescriptor(descriptor)))
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.same(await repository.tags.get('v1.0-beta_2'), descriptor)
  t.same(await repository.tags.list(), [{ name: findTagName('v1.0-beta_2'), descriptor }])
  t.same(readdirSync(join(repository.root, 'temp')), [])
})

t.test('refuses names outside the rule on every operation', async t => {
  const repository = await makeRepository(t.testdir())
  const descriptor = await storeSmallTree(repository, 1)
  const { tags } = repository
  for (const name of badNames) {
    const invalid = { code: 'invalid_tag_name' }
    await t.rejects(tags.get(name), invalid, JSON.stringify(name))
    await t.rejects(tags.find(name), invalid)
    await t.rejects(tags.set(name, descriptor), invalid)
    await t.rejects(tags.remove(name), invalid)
    await t.rejects(tags.log(name), invalid)
  }
  t.same(readdirSync(join(repository.root, 'refs/tags')), [])
})

t.test('has no tag before it is set and after it is removed', async t => {
  const repository = await makeRepository(t.testdir())
  const descriptor = await storeSmallTree(repository, 1)
  const { tags } = repository
  const absent = { code: 'tag_not_found', facts: { name: 'one' } }
  await t.rejects(tags.get('one'), absent)
  await t.rejects(tags.remove('one'), absent)
  await t.rejects(tags.log('one'), absent)
  await tags.set('one', descriptor)
  await tags.remove('one')
  await t.rejects(tags.get('one'), absent)
  t.equal(await tags.find('one'), undefined)
  t.same(await tags.list(), [])
})

t.test('changes a tag only from what the caller expects', async t => {
  const repository = await makeRepository(t.testdir())
  const [first, second, third] = await storeSmallTrees(repository, [1, 2, 3])
  if (!first || !second || !third) throw new Error('three trees')
  const { tags } = repository
  const conflict = { code: 'tag_conflict' }
  await t.rejects(tags.set('one', first, { expected: second }), conflict)
  await tags.set('one', first, { expected: 'absent' })
  await t.rejects(tags.set('one', second, { expected: 'absent' }), {
    ...conflict,
    facts: { name: 'one', expected: 'no tag', found: first.digest },
  })
  await t.rejects(tags.set('one', third, { expected: second }), conflict)
  await t.rejects(tags.remove('one', { expected: second }), conflict)
  t.same(await tags.get('one'), first)
  await tags.set('one', second, { expected: first })
  await tags.remove('one', { expected: second })
  t.equal((await tags.log('one')).length, 3)
})

t.test('refuses to tag what is no whole application', async t => {
  const repository = await makeRepository(t.testdir())
  const good = await storeSmallTree(repository, 1)
  const { tags } = repository
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const header = await putHeader(session.objects, {
    mode: 0o644,
    rdev: 0,
    uid: 7,
    gid: 7,
    xattrs: [],
  })
  await session.objects.publish([header.digest])
  const totals = { subObjectCount: 0, subObjectsSize: 0n }
  await t.rejects(tags.set('one', { ...header, type: 'header', ...totals }), {
    code: 'wrong_object_type',
  })
  await t.rejects(tags.set('one', { ...good, digest: header.digest }), {
    code: 'wrong_object_type',
  })
  const absent = parseDigest(`0a${'00'.repeat(32)}`)
  await t.rejects(tags.set('one', { ...good, digest: absent }), {
    code: 'incomplete_closure',
    facts: { missing: absent },
  })
  for (const wrong of [{ size: 5 }, { subObjectCount: 9 }, { subObjectsSize: 9n }]) {
    await t.rejects(tags.set('one', { ...good, ...wrong }), { code: 'invalid_object' })
  }
  t.equal(await tags.find('one'), undefined)
})

t.test('refuses to tag an application whose root is not there', async t => {
  const repository = await makeRepository(t.testdir())
  const descriptor = await storeSmallTree(repository, 1)
  const digests: string[] = []
  for await (const batch of repository.objects.list()) digests.push(...batch)
  const [child] = digests.filter(digest => digest !== descriptor.digest)
  if (child === undefined) throw new Error('an application has children')
  rmSync(objectPath(repository.root, child))
  await t.rejects(repository.tags.set('one', descriptor), {
    code: 'incomplete_closure',
    facts: { digest: descriptor.digest, missing: child },
  })
})

t.test('lists what can be read and tells what it passed over', async t => {
  const repository = await makeRepository(t.testdir())
  const descriptor = await storeSmallTree(repository, 1)
  const { root, tags } = repository
  const folder = join(root, 'refs/tags')
  for (const name of ['b', 'a', '_', 'B']) await tags.set(name, descriptor)
  writeFileSync(join(folder, 'short'), '')
  writeFileSync(join(folder, 'long'), Buffer.alloc(200))
  writeFileSync(
    join(folder, 'one-more'),
    Buffer.concat([encodeDescriptor(descriptor), Buffer.alloc(1)]),
  )
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x61, 0xff])]), '')
  mkdirSync(join(folder, 'folder'))
  symlinkSync('/etc/passwd', join(folder, 'link'))
  makeFifo(Buffer.from(join(folder, 'fifo')))
  const skipped: SkippedTag[] = []
  const listed = await tags.list({ onSkipped: one => skipped.push(one) })
  t.same(
    listed.map(({ name }) => name),
    ['B', '_', 'a', 'b'],
  )
  t.same(
    skipped.map(({ name }) => name),
    ['a\\xff', 'fifo', 'folder', 'link', 'long', 'one-more', 'short'],
  )
  for (const name of ['short', 'long', 'one-more', 'folder', 'link', 'fifo']) {
    await t.rejects(tags.get(name), { code: 'invalid_tag_file' }, name)
  }
})

t.test('lets others have their turn while it lists many tags', async t => {
  const repository = await makeRepository(t.testdir())
  await repository.tags.set('tag', await storeSmallTree(repository, 0))
  const folder = join(repository.root, 'refs', 'tags')
  for (let index = 0; index < 2000; index++) {
    linkSync(join(folder, 'tag'), join(folder, `tag-${index}`))
  }
  let turns = 0
  let isListing = true
  const count = (): void => {
    turns += 1
    if (isListing) setImmediate(count)
  }
  setImmediate(count)
  t.equal((await repository.tags.list()).length, 2001)
  isListing = false
  t.ok(turns >= 10, `${turns} turns`)
})

t.test('names the file when permission is missing', async t => {
  const repository = await makeRepository(t.testdir())
  const { root, tags } = repository
  const [first, second] = await storeSmallTrees(repository, [1, 2])
  if (!first || !second) throw new Error('two trees')
  await tags.set('one', first)
  const path = join(root, 'refs/tags/one')
  chmodSync(path, 0)
  await asOrdinaryUser(root, async () => {
    await t.rejects(tags.get('one'), { code: 'access_refused', facts: { path } })
    chmodSync(join(root, 'refs/tags'), 0o500)
    chmodSync(path, 0o600)
    const refused = { code: 'access_refused', message: /change tag .*\/one: permission/ }
    await t.rejects(tags.set('one', second), refused)
    t.same(await tags.get('one'), first)
    await t.rejects(tags.remove('one'), refused)
    t.same(await tags.get('one'), first)
    chmodSync(join(root, 'gate'), 0)
    await t.rejects(tags.set('one', second), {
      code: 'access_refused',
      facts: { path: join(root, 'gate') },
    })
  })
})

t.test('replaces a tag file that cannot be read, but never compares with it', async t => {
  const repository = await makeRepository(t.testdir())
  const descriptor = await storeSmallTree(repository, 1)
  const { tags } = repository
  writeFileSync(join(repository.root, 'refs/tags/one'), '')
  const unreadable = { code: 'invalid_tag_file' }
  await t.rejects(tags.set('one', descriptor, { expected: 'absent' }), unreadable)
  await t.rejects(tags.log('one'), unreadable)
  await tags.set('one', descriptor)
  t.same(await tags.get('one'), descriptor)
})

t.test('logs every change, newest first, across removal', async t => {
  const repository = await makeRepository(t.testdir())
  const [first, second] = await storeSmallTrees(repository, [1, 2])
  if (!first || !second) throw new Error('two trees')
  const { tags } = repository
  const before = BigInt(Date.now()) * 1_000_000n
  await tags.set('one', first, { who: 'ada', message: 'first' })
  await tags.set('one', second, { who: 'böb', message: 'why\nnot' })
  await tags.remove('one')
  await tags.set('one', first)
  const log = await tags.log('one')
  t.match(log, [
    { sequence: 4n, kind: 'set', old: undefined, new: first, who: '', message: '' },
    { sequence: 3n, kind: 'remove', old: second, new: undefined },
    {
      sequence: 2n,
      kind: 'set',
      old: first,
      new: second,
      who: 'böb',
      message: 'why\nnot',
    },
    {
      sequence: 1n,
      kind: 'set',
      old: undefined,
      new: first,
      who: 'ada',
      message: 'first',
    },
  ])
  for (const { time } of log) t.ok(time >= before)
  t.equal(statSync(join(repository.root, 'logs/tags/one')).mode & 0o777, 0o600)
  t.same(await tags.listLogs(), ['one'])
})

t.test('writes nothing when a tag names the application already', async t => {
  const repository = await makeRepository(t.testdir())
  const descriptor = await storeSmallTree(repository, 1)
  await repository.tags.set('one', descriptor)
  await repository.tags.set('one', descriptor)
  t.equal((await repository.tags.log('one')).length, 1)
})

t.test('records what another program did to a tag file', async t => {
  const root = makeVersion1Folder(t.testdir())
  const repository = await openRepository(root)
  const [first, second, third] = await storeSmallTrees(repository, [1, 2, 3])
  if (!first || !second || !third) throw new Error('three trees')
  const { tags } = repository
  const path = join(root, 'refs/tags/one')
  writeFileSync(path, encodeDescriptor(first))
  t.match(await tags.log('one'), [{ sequence: 1n, kind: 'external', new: first }])
  await tags.set('one', second)
  writeFileSync(path, encodeDescriptor(third))
  const expected = [
    { sequence: 3n, kind: 'external', old: second, new: third },
    { sequence: 2n, kind: 'set', old: first, new: second },
    { sequence: 1n, kind: 'external', old: undefined, new: first },
  ]
  t.match(await tags.log('one'), expected)
  rmSync(path)
  t.match((await tags.log('one'))[0], { kind: 'external', old: second, new: undefined })
  writeFileSync(path, encodeDescriptor(third))
  await tags.remove('one')
  t.match(await tags.log('one'), [
    { sequence: 4n, kind: 'remove', old: third, new: undefined },
    ...expected,
  ])
})

t.test('declares a change void that never reached the tag file', async t => {
  const repository = await makeRepository(t.testdir())
  const [first, second, third] = await storeSmallTrees(repository, [1, 2, 3])
  if (!first || !second || !third) throw new Error('three trees')
  const { root, tags } = repository
  await tags.set('one', first)
  await tags.set('one', second)
  writeFileSync(join(root, 'refs/tags/one'), encodeDescriptor(first))
  t.match(await tags.log('one'), [{ sequence: 1n, kind: 'set', new: first }])
  await tags.set('one', third)
  t.match(await tags.log('one'), [
    { sequence: 4n, kind: 'set', old: first, new: third },
    { sequence: 1n, kind: 'set', new: first },
  ])
})

t.test('has no log of a tag whose first change never reached its file', async t => {
  const repository = await makeRepository(t.testdir())
  await repository.tags.set('one', await storeSmallTree(repository, 1))
  rmSync(join(repository.root, 'refs/tags/one'))
  await t.rejects(repository.tags.log('one'), { code: 'tag_not_found' })
})

t.test('cuts off a torn last record and goes on', async t => {
  const repository = await makeRepository(t.testdir())
  const [first, second] = await storeSmallTrees(repository, [1, 2])
  if (!first || !second) throw new Error('two trees')
  const { root, tags } = repository
  const path = join(root, 'logs/tags/one')
  await tags.set('one', first)
  const { size } = statSync(path)
  await tags.set('one', second)
  truncateSync(path, size + 20)
  writeFileSync(join(root, 'refs/tags/one'), encodeDescriptor(first))
  t.equal((await tags.log('one')).length, 1)
  await tags.set('one', second)
  t.match(await tags.log('one'), [{ sequence: 2n, new: second }, { sequence: 1n }])
})

t.test('refuses to go on behind a damaged record', async t => {
  const repository = await makeRepository(t.testdir())
  const [first, second] = await storeSmallTrees(repository, [1, 2])
  if (!first || !second) throw new Error('two trees')
  const { root, tags } = repository
  const path = join(root, 'logs/tags/one')
  await tags.set('one', first)
  await tags.set('one', second)
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20)
  writeFileSync(path, bytes)
  const damaged = { code: 'invalid_tag_file', facts: { path } }
  await t.rejects(tags.log('one'), damaged)
  await t.rejects(tags.set('one', first), damaged)
  t.same(await tags.get('one'), second)
})

t.test('refuses a log whose sequence does not ascend', async t => {
  const repository = await makeRepository(t.testdir())
  const { root, tags } = repository
  await tags.set('one', await storeSmallTree(repository, 1))
  const path = join(root, 'logs/tags/one')
  appendFileSync(path, readFileSync(path))
  await t.rejects(tags.log('one'), { message: /record 1 follows record 1/ })
})
