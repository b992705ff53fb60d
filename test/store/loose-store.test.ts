import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { CorruptObjectError, StorageFullError } from '../../lib/errors.js'
import { type Digest, parseDigest } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import { openLooseStore } from '../../lib/store/loose-store.js'
import { makeFifo, makeSocket } from '../../lib/system/special-file.js'
import {
  algorithmNamed,
  type StoreUnderTest,
  testObjectStore,
} from '../support/object-store-contract.js'
import { putFile, putSampleTree } from '../support/sample-tree.js'

const blake3 = algorithmNamed('blake3')
const sha512t256 = algorithmNamed('sha512-256')

function pathOf(root: string, digest: Digest): string {
  const levels = [digest.slice(0, 2), digest.slice(2, 4), digest.slice(4, 6)]
  return join(root, 'objects', ...levels, digest.slice(6))
}

async function openUnderTest(t: Test): Promise<StoreUnderTest & { root: string }> {
  const root = t.testdir({ temp: {} })
  const temp = join(root, 'temp')
  return {
    root,
    store: openLooseStore(root),
    newFolder: () => mkdtempSync(`${temp}/`),
    leftovers: () => readdirSync(temp).flatMap(name => readdirSync(join(temp, name))),
    damage: (digest, how) => {
      const path = pathOf(root, digest)
      const bytes = readFileSync(path)
      if (how === 'flip') {
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
        writeFileSync(path, bytes)
      } else truncateSync(path, how === 'cut' ? bytes.length - 1 : 0)
    },
  }
}

async function publish(under: StoreUnderTest, content: string, algorithm = blake3) {
  const { store, newFolder } = under
  const options = { algorithm, folder: newFolder(), publishing: 'whole' } as const
  await using session = await store.begin(options)
  const { digest } = await putFile(session, content)
  await session.publish([digest])
  return digest
}

testObjectStore(t, { name: 'LooseStore', open: openUnderTest })

t.test(
  'lays an object where version 1 looks for it, with its bytes and modes',
  async t => {
    const umask = process.umask(0o022)
    t.teardown(() => process.umask(umask))
    const under = await openUnderTest(t)
    const digest = await publish(under, 'hello, stemma\n', sha512t256)
    t.equal(digest, '05d2040022cba3dd2ebbb61c40822f531ef3a8e4826e95c2917152681000f8d39e')
    const path = join(
      under.root,
      'objects/05/d2/04/0022cba3dd2ebbb61c40822f531ef3a8e4826e95c2917152681000f8d39e',
    )
    t.equal(readFileSync(path).toString('latin1'), '\0hello, stemma\n')
    t.equal(lstatSync(path).mode, 0o100600)
    for (let folder = dirname(path); folder !== under.root; folder = dirname(folder)) {
      t.equal(lstatSync(folder).mode, 0o40755, folder)
    }
  },
)

t.test('opens what another program has laid down, and makes what is missing', async t => {
  const root = t.testdir()
  const store = openLooseStore(root)
  t.ok(lstatSync(join(root, 'objects')).isDirectory())
  const digest = digestObject(sha512t256, 'file', Buffer.from('theirs'))
  mkdirSync(dirname(pathOf(root, digest)), { recursive: true })
  writeFileSync(pathOf(root, digest), '\0theirs')
  t.same(await store.stat([digest]), [{ type: 'file', size: 6 }])
  t.throws(() => openLooseStore(join(root, 'missing', 'deeper', '\0')))
})

t.test('refuses to read what lies at the place of an object and is none', async t => {
  const under = await openUnderTest(t)
  const { root, store } = under
  const kinds: Record<string, (path: string) => void> = {
    'an empty file': path => writeFileSync(path, ''),
    'an unknown type byte': path => writeFileSync(path, '\x04content'),
    'a symlink': path => symlinkSync('/etc/passwd', path),
    'a symlink to nothing': path => symlinkSync('nothing', path),
    'a folder': path => mkdirSync(path),
    'a fifo': path => makeFifo(Buffer.from(path)),
    'a socket': path => makeSocket(Buffer.from(path)),
  }
  for (const [kind, make] of Object.entries(kinds)) {
    const digest = digestObject(blake3, 'file', Buffer.from(kind))
    const path = pathOf(root, digest)
    mkdirSync(dirname(path), { recursive: true })
    make(path)
    const expected = { code: 'corrupt_object', facts: { digest, path } }
    await t.rejects(store.read([digest]), expected, kind)
    await t.rejects(store.open(digest), expected, kind)
    t.same(await store.stat([digest]), [undefined], kind)
    if (kind !== 'an unknown type byte') {
      t.equal((await store.has([digest])).count(), 0, kind)
    }
    const listed: Digest[] = []
    for await (const batch of store.list(digest)) listed.push(...batch)
    t.same(listed, [digest], `${kind} is listed, so that a check finds it`)

    if (kind === 'a folder') {
      await t.rejects(publish(under, kind), CorruptObjectError)
    } else {
      t.equal(await publish(under, kind), digest)
      t.equal((await store.read([digest])).length, 1, `${kind} is replaced`)
    }
  }
  t.throws(() =>
    readlinkSync(pathOf(root, digestObject(blake3, 'file', Buffer.from('a symlink')))),
  )
})

t.test('takes a fan-out folder that is a file for absence', async t => {
  const { root, store } = await openUnderTest(t)
  writeFileSync(join(root, 'objects', '0a'), '')
  const digest = digestObject(blake3, 'file', Buffer.from('x'))
  t.same(await store.stat([digest]), [undefined])
  t.equal((await store.has([digest])).count(), 0)
  await t.rejects(store.read([digest]), { code: 'object_not_found' })
  for await (const _ of store.list()) t.fail('listed')
})

t.test('lists no file that is not named as an object', async t => {
  const under = await openUnderTest(t)
  const digest = await publish(under, 'content')
  const folder = dirname(pathOf(under.root, digest))
  writeFileSync(join(under.root, 'objects', 'stray'), '')
  mkdirSync(join(under.root, 'objects', 'zz'))
  mkdirSync(join(under.root, 'objects', 'AA', '00', '00'), { recursive: true })
  writeFileSync(join(dirname(folder), 'stray'), '')
  writeFileSync(join(folder, 'short'), '')
  writeFileSync(join(folder, `${digest.slice(6)}.bak`), '')
  writeFileSync(join(folder, digest.slice(6).toUpperCase()), '')
  const listed: Digest[] = []
  for await (const batch of under.store.list()) listed.push(...batch)
  t.same(listed, [digest])
})

t.test('tells a file that shrinks while it is read', async t => {
  const under = await openUnderTest(t)
  const { store, newFolder, root } = under
  const options = { algorithm: blake3, folder: newFolder(), publishing: 'whole' } as const
  await using session = await store.begin(options)
  const { digest } = await putFile(session, Buffer.alloc(3 * 1024 * 1024))
  await session.publish([digest])
  for (const range of [undefined, { offset: 1024, length: 2 * 1024 * 1024 }]) {
    const stream = await store.open(digest, range)
    await t.rejects(async () => {
      for await (const _ of stream) truncateSync(pathOf(root, digest), 100_000)
    }, CorruptObjectError)
    truncateSync(pathOf(root, digest), 1 + 3 * 1024 * 1024)
  }
})

t.test('survives being disposed in the middle of a read', async t => {
  const under = await openUnderTest(t)
  const { store, newFolder } = under
  const options = { algorithm: blake3, folder: newFolder(), publishing: 'whole' } as const
  await using session = await store.begin(options)
  const { digest } = await putFile(session, Buffer.alloc(3 * 1024 * 1024))
  await session.publish([digest])
  const stream = await store.open(digest)
  const chunks = stream[Symbol.asyncIterator]()
  const first = chunks.next()
  await stream[Symbol.asyncDispose]()
  t.equal((await first).done, false, 'the read under way ends first')
  await t.rejects(chunks.next(), /closed/)
})

t.test('remembers no more than a bound, and forgets no object', async t => {
  const root = t.testdir({ temp: {} })
  const store = openLooseStore(root, { batchObjects: 10 })
  const folder = join(root, 'temp')
  await using session = await store.begin({
    algorithm: blake3,
    folder,
    publishing: 'whole',
  })
  const links = await session.put(
    Array.from({ length: 137 }, (_, index) => ({
      type: 'file' as const,
      payload: Buffer.from(`file ${index}`),
    })),
  )
  const digests = links.map(({ digest }) => digest)
  t.equal((await session.has(digests)).count(), 137)
  t.same(
    await session.stat(digests),
    links.map(({ size }) => ({ type: 'file', size })),
  )
  t.same(await session.put([{ type: 'file', payload: Buffer.from('file 3') }]), [
    links[3],
  ])
  await session.publish(digests)
  t.equal((await store.read(digests)).length, 137)
})

t.test('lets a guard refuse a publishing, which can then be tried again', async t => {
  const root = t.testdir({ temp: {} })
  const store = openLooseStore(root)
  let refuses = true
  await using session = await store.begin({
    algorithm: blake3,
    folder: join(root, 'temp'),
    publishing: 'whole',
    guard: async run => {
      if (refuses) throw new Error('busy')
      await run()
    },
  })
  const { application } = await putSampleTree(session)
  await t.rejects(session.publish([application.digest]), /busy/)
  t.equal((await store.has([application.digest])).count(), 0)
  refuses = false
  await session.publish([application.digest])
  t.equal((await store.has([application.digest])).count(), 1)
})

function mountSmallDisk(root: string): Disposable & { root: string } {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,nr_inodes=2000', 'tmpfs', root])
  // Not by teardown, which comes after the folder is removed.
  return { root, [Symbol.dispose]: () => execFileSync('umount', [root]) }
}

const noMount =
  process.getuid?.() === 0 ? false : 'mounting a small filesystem takes root'

t.test('says that the disk is full, and stays sound', { skip: noMount }, async t => {
  using disk = mountSmallDisk(t.testdir())
  const { root } = disk
  mkdirSync(join(root, 'temp'))
  const temp = join(root, 'temp')
  const store = openLooseStore(root)
  for (const publishing of ['gradual', 'whole'] as const) {
    const begin = { algorithm: blake3, folder: temp, publishing } as const
    {
      await using session = await store.begin(begin)
      await using writer = await session.stream({ type: 'file' })
      await t.rejects(async () => {
        for (;;) await writer.write(Buffer.alloc(300_000))
      }, StorageFullError)
      await t.rejects(writer.commit(), /ended/, 'a payload that lacks bytes')
      const payload = Buffer.alloc(5_000_000)
      await t.rejects(session.put([{ type: 'file', payload }]), StorageFullError)
      await session.publish([])
    }
    t.same(readdirSync(temp), [], 'no file is left')
    {
      await using session = await store.begin(begin)
      await t.rejects(
        async () => {
          for (let index = 0; ; index++) await putFile(session, `${index}`)
        },
        { code: 'storage_full', cause: { code: 'ENOSPC' }, facts: { what: /^file 0a/ } },
        'no inodes',
      )
    }
    t.same(readdirSync(temp), [], 'no file is left')
    await using session = await store.begin(begin)
    const { application } = await putSampleTree(session, { content: publishing })
    await session.publish([application.digest])
    t.equal((await store.read([application.digest])).length, 1, 'room again')
  }
  for await (const batch of store.list()) await store.read(batch)
})

t.test('leaves nothing to find where a session never wrote', async t => {
  const { store, newFolder, root } = await openUnderTest(t)
  const folder = newFolder()
  {
    await using session = await store.begin({
      algorithm: blake3,
      folder,
      publishing: 'whole',
    })
    const absent = parseDigest(`0a${'00'.repeat(32)}`)
    t.equal((await session.has([absent])).count(), 0)
    await session.publish([])
    t.same(readdirSync(folder), [])
  }
  t.same(readdirSync(join(root, 'objects')), [])
  rmSync(folder, { recursive: true })
})
