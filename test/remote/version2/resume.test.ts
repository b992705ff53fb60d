import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Descriptor } from '../../../lib/object/descriptor.js'
import { pull } from '../../../lib/remote/pull.js'
import { push } from '../../../lib/remote/push.js'
import { RemoteObjectStore } from '../../../lib/remote/remote-object-store.js'
import type { Repository } from '../../../lib/repository/repository.js'
import { createServer } from '../../../server/cairn-server.js'
import { type CuttingProxy, startCuttingProxy } from '../../support/cutting-proxy.js'
import { makePackedRepository, putFiles } from '../../support/packed-repository.js'
import { seededRandom } from '../../support/seeded-random.js'

const rounds = process.env['CAIRN_TEST_LONG'] === '1' ? 50 : 4
const seed = Math.floor(Math.random() * 1_000_000)
// In flight when a connection is cut: a segment or two, what sockets hold, the questions.
const allowance = 0.05

type Place = {
  readonly near: Repository
  readonly far: Repository
  readonly proxy: CuttingProxy
}

async function start(t: Test): Promise<Place> {
  const folder = t.testdir({ near: {}, far: {} })
  const near = await makePackedRepository(join(folder, 'near'))
  const far = await makePackedRepository(join(folder, 'far'))
  const server = createServer({ root: far.root })
  t.teardown(() => server[Symbol.asyncDispose]())
  const { port } = await server.listen()
  const proxy = await startCuttingProxy(port)
  t.teardown(() => proxy[Symbol.asyncDispose]())
  return { near, far, proxy }
}

/** 60 MB in files of all sizes. */
async function storeMany(repository: Repository, tag: string): Promise<Descriptor> {
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const sizes = Array.from({ length: 600 }, (_, index) =>
    index % 10 === 0 ? 900_000 : 1000 + index * 10,
  )
  const application = await putFiles(
    session.objects,
    sizes.map(size => randomBytes(size)),
  )
  await session.objects.publish([application.digest])
  await repository.tags.set(tag, application)
  return application
}

async function findings(repository: Repository): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const finding of repository.check()) found.push(finding)
  return found
}

t.test('a pull that was cut off goes on where it stopped', async t => {
  const { near, far, proxy } = await start(t)
  t.comment(`seed ${seed}`)
  const random = seededRandom(seed)
  const application = await storeMany(far, 'app')
  const whole = Number(application.subObjectsSize)
  for (let round = 0; round < rounds; round += 1) {
    const third = await makePackedRepository(newFolder(t, `pull-${round}`))
    const before = proxy.passed.down
    const cut = Math.floor(random() * whole)
    proxy.cutAfter('down', cut)
    await t.rejects(pullThrough(proxy, third), { code: /connection_lost|timed_out/ })
    t.equal(await third.tags.find('app'), undefined)
    t.same(await findings(third), [], `clean after a cut at ${cut}`)
    proxy.mend()
    t.match(await pullThrough(proxy, third), { application })
    const moved = proxy.passed.down - before
    t.ok(moved < whole * (1 + allowance), `cut at ${cut}: ${moved} bytes of ${whole}`)
    t.same(await findings(third), [])
    t.same(readdirSync(join(third.root, 'kept')), [])
  }
  t.same(await findings(near), [])
})

t.test('a push that was cut off goes on where it stopped', async t => {
  const { near, far, proxy } = await start(t)
  const random = seededRandom(seed)
  for (let round = 0; round < rounds; round += 1) {
    const tag = `app${round}`
    const application = await storeMany(near, tag)
    const whole = Number(application.subObjectsSize)
    const before = proxy.passed.up
    const cut = Math.floor(random() * whole)
    proxy.cutAfter('up', cut)
    await t.rejects(pushThrough(proxy, near, tag), { code: /connection_lost|timed_out/ })
    t.equal(await far.tags.find(tag), undefined)
    const present = await far.objects.has([application.digest])
    t.equal(present.count(), 0)
    proxy.mend()
    t.match(await pushThrough(proxy, near, tag), { application })
    const moved = proxy.passed.up - before
    t.ok(moved < whole * (1 + allowance), `cut at ${cut}: ${moved} bytes of ${whole}`)
    t.same(await far.tags.get(tag), application)
    t.same(await findings(far), [])
    t.same(readdirSync(join(far.root, 'kept')), [])
  }
})

function newFolder(t: Test, name: string): string {
  const folder = join(t.testdirName, name)
  mkdirSync(folder)
  return folder
}

async function pullThrough(proxy: CuttingProxy, repository: Repository) {
  await using remote = new RemoteObjectStore(proxy.url)
  return await pull(remote, repository, { tag: 'app' })
}

async function pushThrough(proxy: CuttingProxy, repository: Repository, tag: string) {
  await using remote = new RemoteObjectStore(proxy.url)
  return await push(remote, repository, { ref: tag })
}
