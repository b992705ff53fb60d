import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { AlgorithmName } from '../../lib/object/algorithm.js'
import { type Descriptor, encodeDescriptor } from '../../lib/object/descriptor.js'
import { ProgressMeter } from '../../lib/remote/progress-meter.js'
import { pull } from '../../lib/remote/pull.js'
import { push } from '../../lib/remote/push.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import type { Repository } from '../../lib/repository/repository.js'
import {
  getApplication,
  putApplication,
  putDirectory,
  putHeader,
} from '../../lib/store/typed-object.js'
import { createServer } from '../../server/cairn-server.js'
import type { LogEntry } from '../../server/log-entry.js'
import { storeFiles } from '../support/packed-repository.js'
import { makeRepository, storeSmallTree } from '../support/scratch-repository.js'
import { testFolder } from '../support/test-folder.js'

type Protocol = 'best' | 'version1'

type Place = {
  readonly near: Repository
  readonly far: Repository
  readonly third: Repository
  readonly remote: RemoteObjectStore
  readonly log: readonly LogEntry[]
}

async function start(
  t: Test,
  protocol: Protocol,
  algorithms: { near?: AlgorithmName; far?: AlgorithmName; third?: AlgorithmName } = {},
): Promise<Place> {
  const folder = testFolder(t, { near: {}, far: {}, third: {} })
  const make = async (name: 'near' | 'far' | 'third'): Promise<Repository> =>
    makeRepository(join(folder, name), { algorithm: algorithms[name] ?? 'blake3' })
  const [near, far, third] = [await make('near'), await make('far'), await make('third')]
  const log: LogEntry[] = []
  const server = createServer({ root: far.root, logger: entry => void log.push(entry) })
  t.teardown(() => server[Symbol.asyncDispose]())
  const { port } = await server.listen()
  const remote = new RemoteObjectStore(`http://127.0.0.1:${port}`, { protocol })
  t.teardown(() => remote[Symbol.asyncDispose]())
  return { near, far, third, remote, log }
}

/** Runs a test with both protocols. */
function withEach(
  name: string,
  run: (t: Test, protocol: Protocol) => Promise<void>,
): void {
  for (const protocol of ['best', 'version1'] as const) {
    void t.test(`${name} (${protocol})`, async t => run(t, protocol))
  }
}

/** Stores and tags a tree of one file. */
async function storeFile(
  repository: Repository,
  tag: string,
  content: Buffer,
  { uid = 0 } = {},
): Promise<Descriptor> {
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const { objects } = session
  const metadata = { rdev: 0, uid, gid: 0, xattrs: [] }
  await using writer = await objects.stream({ type: 'file' })
  await writer.write(content)
  const file = await writer.commit()
  const header = await putHeader(objects, { ...metadata, mode: 0o644 })
  const entry = { kind: 'regular', name: Buffer.from('file'), header, file } as const
  const application = await putApplication(objects, {
    rootHeader: await putHeader(objects, { ...metadata, mode: 0x800001ed }),
    rootDirectory: await putDirectory(objects, [entry]),
  })
  await objects.publish([application.digest])
  await repository.tags.set(tag, application)
  return application
}

async function findings(repository: Repository): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const finding of repository.check({ objects: 'all' })) found.push(finding)
  return found
}

withEach('brings a tree through two repositories unchanged', async (t, protocol) => {
  const { near, far, third, remote, log } = await start(t, protocol)
  const application = await storeFile(near, 'one', randomBytes(5_000_000))
  const progress = new ProgressMeter()
  const pushed = await push(remote, near, { ref: 'one', progress })
  t.match(pushed, { tag: 'one', application, upToDate: false, objects: 5 })
  t.match(progress.snapshot(), { objects: { transferred: 5, skipped: 0, total: 5 } })
  t.same(await far.tags.get('one'), application)
  const [entry] = await far.tags.log('one')
  t.match(entry, { who: '127.0.0.1', message: 'push' })
  const again = await push(remote, near, { ref: 'one', as: 'two' })
  t.match(again, { tag: 'two', upToDate: true, objects: 0 })
  const pulled = await pull(remote, third, { tag: 'two', as: 'three' })
  t.match(pulled, { tag: 'three', application, upToDate: false, objects: 5 })
  t.match(
    log.find(
      ({ service }) => service === (protocol === 'best' ? 'v2/pull' : 'serve-objects'),
    ),
    {
      objects: 5,
      bytes: pulled.bytes,
    },
  )
  for (const repository of [near, far, third]) t.same(await findings(repository), [])
})

withEach('pushes what a digest or a prefix names, under a tag', async (t, protocol) => {
  const { near, far, remote } = await start(t, protocol)
  const descriptor = await storeSmallTree(near, 1)
  const { digest } = descriptor
  await near.tags.set('one', descriptor)
  await push(remote, near, { ref: digest, as: 'whole' })
  await push(remote, near, { ref: digest.slice(0, 12), as: 'prefix' })
  t.equal((await far.tags.get('whole')).digest, digest)
  t.equal((await far.tags.get('prefix')).digest, digest)
  for (const ref of [digest, digest.slice(0, 12), 'one@{0}']) {
    await t.rejects(push(remote, near, { ref }), { code: 'invalid_argument' }, ref)
  }
  await t.rejects(push(remote, near, { ref: digest, as: 'a b' }), {
    code: 'invalid_tag_name',
  })
  await t.rejects(push(remote, near, { ref: 'nope' }), { code: 'ref_not_found' })
})

withEach(
  'keeps the digests of a tree in repositories of any algorithm',
  async (t, protocol) => {
    const algorithms = { near: 'sha3-512', far: 'blake3', third: 'sha512-256' } as const
    const { near, far, third, remote } = await start(t, protocol, algorithms)
    const application = await storeFile(near, 'foreign', randomBytes(100_000))
    t.match(application.digest, /^09/)
    await push(remote, near, { ref: 'foreign' })
    await pull(remote, third, { tag: 'foreign' })
    for (const repository of [far, third]) {
      t.same(await repository.tags.get('foreign'), application)
      t.same(await findings(repository), [])
    }
  },
)

withEach('moves the tag only from where the caller says it is', async (t, protocol) => {
  const { near, far, third, remote } = await start(t, protocol)
  const old = await storeSmallTree(third, 1)
  await third.tags.set('one', old)
  const application = await storeSmallTree(near, 2)
  await far.tags.set('one', await storeSmallTree(far, 2))
  const conflict = { tag: 'one', expected: 'absent' } as const
  await t.rejects(pull(remote, third, conflict), { code: 'tag_conflict' })
  t.same(await third.tags.get('one'), old)
  await pull(remote, third, { tag: 'one', expected: old, who: 'me', message: 'why' })
  t.same(await third.tags.get('one'), application)
  t.match(await third.tags.log('one'), [{ who: 'me', message: 'why' }, {}])
})

withEach(
  'keeps the old tag when there is nothing to pull, or it is aborted',
  async (t, protocol) => {
    const { far, third, remote } = await start(t, protocol)
    const old = await storeSmallTree(third, 1)
    await third.tags.set('one', old)
    await t.rejects(pull(remote, third, { tag: 'one' }), { code: 'tag_not_found' })
    await storeFile(far, 'one', randomBytes(3_000_000))
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    await t.rejects(pull(remote, third, { tag: 'one', signal }), reason)
    await t.rejects(pull(remote, third, { tag: 'one', limits: { totalBytes: 1000 } }), {
      code: 'limit_exceeded',
    })
    await t.rejects(pull(remote, third, { tag: 'one', as: '../x' }), {
      code: 'invalid_tag_name',
    })
    t.same(await third.tags.get('one'), old)
    t.same(await findings(third), [])
  },
)

withEach('pulls and pushes nothing but applications', async (t, protocol) => {
  const { near, far, third, remote } = await start(t, protocol)
  const { digest } = await storeFile(near, 'one', randomBytes(10))
  const { rootDirectory } = await getApplication(near.objects, digest)
  const pushing = push(remote, near, { ref: rootDirectory.digest, as: 'folder' })
  await t.rejects(pushing, { code: 'wrong_object_type' })
  // The original tags anything.
  const tagFile = encodeDescriptor({ type: 'directory', ...rootDirectory })
  writeFileSync(join(far.root, 'refs/tags/folder'), tagFile)
  await t.rejects(pull(remote, third, { tag: 'folder' }), { code: 'wrong_object_type' })
})

withEach('asks again for an object that was cut short here', async (t, protocol) => {
  const { near, third, remote } = await start(t, protocol)
  const content = randomBytes(300_000)
  await storeFile(near, 'one', content)
  await storeFile(near, 'two', content, { uid: 7 })
  await push(remote, near, { ref: 'one' })
  await push(remote, near, { ref: 'two' })
  await pull(remote, third, { tag: 'one' })
  const path = largestFile(join(third.root, 'objects'))
  chmodSync(path, 0o600)
  truncateSync(path, 1000)
  t.not((await findings(third)).length, 0)
  t.match(await pull(remote, third, { tag: 'two' }), { upToDate: false })
  t.same(await findings(third), [])
})

function largestFile(folder: string): string {
  const paths = readdirSync(folder, { recursive: true }).map(name =>
    join(folder, String(name)),
  )
  const sized = paths.map(path => ({ path, size: statSync(path).size }))
  return sized.toSorted((one, other) => other.size - one.size)[0]?.path ?? ''
}

withEach(
  'keeps nothing, and says so, when the disk of either receiver is full',
  async (t, protocol) => {
    if (!canMount()) {
      t.comment('skipped: needs root and mount(8)')
      return
    }
    const folder = t.testdir({ small: {}, near: {} })
    const small = join(folder, 'small')
    using _ = mountSmall(small)
    for (const name of ['far', 'third']) mkdirSync(join(small, name))
    const near = await makeRepository(join(folder, 'near'))
    const far = await makeRepository(join(small, 'far'))
    const third = await makeRepository(join(small, 'third'))
    await storeFile(near, 'large', randomBytes(12_000_000))
    const fits = await storeFile(near, 'small', randomBytes(100_000))
    const pieces = Array.from({ length: 2000 }, () => randomBytes(4000))
    await storeFiles(near, pieces, 'pieces')
    const log: LogEntry[] = []
    const logger = (entry: LogEntry): void => void log.push(entry)

    await using server = createServer({ root: far.root, logger })
    await using remote = new RemoteObjectStore(await urlOf(server), { protocol })
    for (const ref of ['large', 'pieces']) {
      await t.rejects(push(remote, near, { ref }), {
        // Version 1 has no way to tell why.
        code: protocol === 'best' ? 'storage_full' : /connection_lost|remote_refused/,
      })
    }
    t.ok(log.some(({ code }) => code === 'storage_full'))
    t.equal(await far.tags.find('large'), undefined)
    t.same(await findings(far), [])
    await push(remote, near, { ref: 'small' })
    t.same(await far.tags.get('small'), fits)

    await using source = createServer({ root: near.root })
    await using full = new RemoteObjectStore(await urlOf(source), { protocol })
    await t.rejects(pull(full, third, { tag: 'large' }), { code: 'storage_full' })
    t.equal(await third.tags.find('large'), undefined)
    t.same(readdirSync(join(third.root, 'objects')), [])
    t.same(await findings(third), [])
    await pull(full, third, { tag: 'small' })
    t.same(await third.tags.get('small'), fits)
  },
)

async function urlOf(server: { listen(): Promise<{ port: number }> }): Promise<string> {
  return `http://127.0.0.1:${(await server.listen()).port}`
}

/** Mounts a filesystem of 6 MiB; disposing unmounts it. */
function mountSmall(folder: string): Disposable {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder])
  return { [Symbol.dispose]: () => void execFileSync('umount', [folder]) }
}

function canMount(): boolean {
  return process.getuid?.() === 0 && existsSync('/bin/mount')
}
