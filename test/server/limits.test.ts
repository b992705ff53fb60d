import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createServer } from '../../server/cairn-server.js'
import type { LogEntry } from '../../server/log-entry.js'
import type { ServerLimits } from '../../server/server-limits.js'
import {
  type ForgedObject,
  fileEntry,
  forge,
  forgeApplication,
  forgeDirectory,
  forgeHeader,
} from '../support/forged-peer.js'
import { makeRepositoryWith } from '../support/golden-repository.js'
import {
  openRawStream,
  rawRequest,
  sendRaw,
  upgradeRequest,
} from '../support/raw-http.js'
import { openRawPush } from '../support/raw-push.js'
import { testFolder } from '../support/test-folder.js'

const header = forgeHeader()
const target = '/app?service=receive-objects&tag=pushed'

function treeOf(fileBytes: number): ForgedObject[] {
  const file = forge('file', Buffer.alloc(fileBytes, 1))
  const directory = forgeDirectory([fileEntry('f', header, file)])
  return [forgeApplication(header, directory), directory, header, file]
}

async function serve(t: Test, limits: ServerLimits) {
  const root = testFolder(t)
  const repository = await makeRepositoryWith(join(root, 'app'))
  const log: LogEntry[] = []
  let wake: (() => void) | undefined
  const auditLog = join(root, 'audit')
  const server = createServer({
    root,
    limits,
    auditLog,
    logger: entry => {
      log.push(entry)
      if (entry.status === 101) wake?.()
    },
  })
  t.teardown(() => server[Symbol.asyncDispose]())
  const { port } = await server.listen()
  const pushTree = async (objects: readonly ForgedObject[]) => {
    const [application] = objects
    if (application === undefined) throw new Error('a tree has a root')
    const ended = new Promise<void>(resolve => {
      wake = resolve
    })
    await using push = await openRawPush(port, target, application)
    const outcome = await push.serve(objects)
    await push[Symbol.asyncDispose]()
    await ended
    return outcome
  }
  const audit = (): string => readFileSync(auditLog, 'utf8')
  return { port, repository, log, pushTree, server, audit }
}

t.test('refuses trees, files and transfers that are too large', async t => {
  const cases: [ServerLimits, RegExp][] = [
    [{ treeBytes: 5000 }, /tree .* is too large/],
    [{ treeObjects: 4 }, /tree .* is too large/],
    [{ fileBytes: 5000 }, /file .* is too large/],
    [{ totalBytes: 5000 }, /too many bytes/],
    [{ objects: 3 }, /too many objects/],
  ]
  for (const [limits, message] of cases) {
    await t.test(String(message), async t => {
      const { pushTree, repository, log, audit } = await serve(t, limits)
      t.equal(await pushTree(treeOf(10_000)), 'closed')
      t.match(log.at(-1), { code: 'limit_exceeded', error: message })
      t.equal(await repository.tags.find('pushed'), undefined)
      t.equal(audit(), '')
    })
  }
})

t.test('holds a repository to its quota, while receiving and before', async t => {
  const { pushTree, repository, log } = await serve(t, { repositoryBytes: 400_000 })
  t.equal(await pushTree(treeOf(600_000)), 'closed')
  t.match(log.at(-1), { code: 'quota_exceeded' })
  t.equal(await repository.tags.find('pushed'), undefined)
  t.equal(await pushTree(treeOf(10_000)), 'done')
})

t.test('takes nothing into a repository that is full', async t => {
  const { pushTree, log } = await serve(t, { repositoryBytes: 1 })
  t.equal(await pushTree(treeOf(10)), 'closed')
  t.match(log.at(-1), { code: 'quota_exceeded', objects: undefined })
})

t.test('refuses pushes when too many run, and goes on with pulls', async t => {
  const { port } = await serve(t, { uploads: 1 })
  await using first = await openRawStream(port, target)
  const refused = await sendRaw(port, upgradeRequest(target))
  t.equal(refused.status, 503)
  t.match(JSON.parse(String(refused.body)), { code: 'busy', detail: /too many pushes/ })
  t.match(refused.head, /retry-after: 1\r\n/i)
  await using pulling = await openRawStream(port, '/app?service=serve-objects')
  t.equal(first.received().length + pulling.received().length, 0)
})

t.test('lets one principal run so many transfers', async t => {
  const { port } = await serve(t, { transfersPerPrincipal: 1 })
  await using only = await openRawStream(port, target)
  t.match(await sendRaw(port, upgradeRequest(target)), { status: 503 })
  t.equal(only.received().length, 0)
})

t.test('is not ready and takes no pushes with too little space', async t => {
  const full = await serve(t, { freeBytes: Number.MAX_SAFE_INTEGER })
  const answer = await sendRaw(full.port, upgradeRequest(target))
  t.equal(answer.status, 507)
  let ready = await sendRaw(full.port, rawRequest('/readyz'))
  while (/recovering/.test(String(ready.body))) {
    ready = await sendRaw(full.port, rawRequest('/readyz'))
  }
  t.match(ready, { status: 503, body: Buffer })
  t.match(JSON.parse(String(ready.body)), { detail: 'too little space is free' })
})

t.test('lets no principal move bytes faster than he may', async t => {
  const { pushTree } = await serve(t, { bytesPerSecond: 200_000 })
  const started = performance.now()
  t.equal(await pushTree(treeOf(300_000)), 'done')
  // One second's worth passes at once.
  const seconds = (performance.now() - started) / 1000
  t.ok(seconds > 0.45, `${seconds} s`)
})

t.test('records who moved a tag before the push is acknowledged', async t => {
  const { pushTree, audit, server } = await serve(t, {})
  const first = treeOf(10)
  const second = treeOf(20)
  t.equal(await pushTree(first), 'done')
  t.equal(await pushTree(second), 'done')
  await server.close()
  const moves = audit()
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
    .filter(({ action }) => action === 'tag-set')
  const [one, other] = [first, second].map(([root]) => root?.descriptor.digest)
  const common = {
    who: 'anonymous',
    address: '127.0.0.1',
    repository: '/app',
    tag: 'pushed',
  }
  t.match(moves, [
    { ...common, from: null, to: one },
    { ...common, from: one, to: other },
  ])
})

t.test('counts what it did in its metrics', async t => {
  const { pushTree, server } = await serve(t, {})
  t.equal(await pushTree(treeOf(10)), 'done')
  const { port } = await server.listenForMetrics()
  const { status, body } = await sendRaw(port, rawRequest('/metrics'))
  t.equal(status, 200)
  t.match(String(body), /cairn_transferred_objects_total\{direction="in"\} 4\n/)
  t.match(
    String(body),
    /cairn_requests_total\{service="receive-objects",status="101"\} 1\n/,
  )
  t.match(await sendRaw(port, rawRequest('/healthz')), { status: 404 })
})
