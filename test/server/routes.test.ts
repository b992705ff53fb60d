import { EventEmitter, once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { decodeDescriptor, encodeDescriptor } from '../../lib/object/descriptor.js'
import { openRepository } from '../../lib/repository/open.js'
import { createServer } from '../../server/cairn-server.js'
import type { LogEntry } from '../../server/log-entry.js'
import type { CairnServer, ServerOptions } from '../../server/server-options.js'
import { makeGoldenRepository, makeRepositoryWith } from '../support/golden-repository.js'
import { loadGoldenTree } from '../support/golden-tree.js'
import {
  openRawStream,
  type RawAnswer,
  rawRequest,
  sendRaw,
  upgradeRequest,
} from '../support/raw-http.js'
import { testFolder } from '../support/test-folder.js'

const { application, tagName } = loadGoldenTree()

type Place = {
  readonly server: CairnServer
  readonly root: string
  readonly log: LogEntry[]
  readonly get: (target: string) => Promise<RawAnswer>
  readonly send: (bytes: string) => Promise<RawAnswer>
  readonly port: number
}

/** Starts a server over a folder with the recorded tree at /team/app and at /other. */
async function start(t: Test, options: Partial<ServerOptions> = {}): Promise<Place> {
  const root = testFolder(t, { team: {} })
  await makeGoldenRepository(join(root, 'team', 'app'))
  await makeRepositoryWith(join(root, 'other'))
  const log: LogEntry[] = []
  const logger = (entry: LogEntry): void => void log.push(entry)
  const server = createServer({ root, logger, ...options })
  t.teardown(() => server[Symbol.asyncDispose]())
  const { port } = await server.listen()
  return {
    server,
    root,
    log,
    port,
    get: target => sendRaw(port, rawRequest(target)),
    send: bytes => sendRaw(port, bytes),
  }
}

function push(path: string): string {
  return upgradeRequest(`/${path}?service=receive-objects`)
}

const wrongNames = [
  '',
  '.',
  '..',
  '../../../etc/passwd',
  '..%2f..%2fconfig',
  '/etc/passwd',
  '-x',
  '.hidden',
  'a/b',
  'a%2Fb',
  'a%00b',
  'a%0a',
  'a%20b',
  '%C3%A4',
  'x'.repeat(129),
  application.digest,
]

t.test('refuses wrong tag names with 400 on every route that takes one', async t => {
  const { get, send } = await start(t)
  for (const name of wrongNames) {
    const asked = await get(`/team/app?service=get-tag&tag=${name}`)
    t.match(asked, { status: 400 }, `get-tag ${name}`)
    const target = `/team/app?service=receive-objects&tag=${name}`
    const pushed = await send(upgradeRequest(target))
    t.match(pushed, { status: 400 }, `receive-objects ${name}`)
    t.match(pushed.head, /problem\+json/)
    t.match(JSON.parse(String(pushed.body)), { code: 'invalid_tag_name', status: 400 })
  }
  t.match(await get('/team/app?service=get-tag'), { status: 400 })
})

t.test(
  'answers any method, takes the first service and tag, and nothing else',
  async t => {
    const { get, send } = await start(t)
    const query = `service=get-tag&tag=${tagName}`
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const answer = await send(rawRequest(`/team/app?${query}`, { method }))
      t.equal(answer.status, 200, method)
      t.same(answer.body, encodeDescriptor(application), method)
    }
    t.match(await get(`/team/app?tag=${tagName}&service=get-tag`), { status: 200 })
    t.match(await get(`/team/app?${query}&service=nope&tag=nope`), { status: 200 })
    const unknown = [
      '',
      '?',
      '?service=',
      '?service=Get-Tag',
      '?service=get-tag%20',
      '?Service=get-tag',
      '?service=nope&service=get-tag',
    ]
    for (const end of unknown) {
      const answer = await get(`/team/app${end}`)
      t.equal(answer.status, 404, end)
      t.equal(String(answer.body), '404 page not found\n', end)
      t.match(answer.head, /content-type: text\/plain; charset=utf-8\r\n/i)
    }
  },
)

t.test('ignores a body, also one that names another service', async t => {
  const { send } = await start(t)
  const body = 'service=list-tags&tag=nope'
  const head = rawRequest(`/team/app?service=get-tag&tag=${tagName}`, {
    method: 'POST',
    headers: [
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
    ],
  })
  const answer = await send(head + body)
  t.equal(answer.status, 200)
  t.equal(answer.body.length, 56)
})

t.test('requires upgrade headers for the two streams', async t => {
  const { get, send } = await start(t)
  for (const service of ['serve-objects', 'receive-objects']) {
    const target = `/team/app?service=${service}`
    const plain = await get(target)
    t.equal(plain.status, 426)
    t.match(plain.head, /upgrade: tcp\r\n/i)
    const headers = ['Connection: Upgrade', 'Upgrade: websocket']
    t.match(await send(rawRequest(target, { headers })), { status: 426 })
    const body = ['Content-Length: 4', 'Connection: Upgrade', 'Upgrade: tcp']
    t.match(await send(rawRequest(target, { method: 'POST', headers: body })), {
      status: 400,
    })
  }
})

t.test('answers other services as ever when a client offers an upgrade', async t => {
  const { send } = await start(t)
  const headers = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c']
  const answer = await send(rawRequest('/team/app?service=list-tags', { headers }))
  t.equal(answer.status, 200)
  t.match(await send(rawRequest('/healthz', { headers })), { status: 200 })
})

t.test('finds repositories by their own paths only', async t => {
  const { get, root } = await start(t)
  const tag = `?service=get-tag&tag=${tagName}`
  t.match(await get(`/team/app${tag}`), { status: 200 })
  t.match(await get(`/team/app/${tag}`), { status: 200 })
  t.match(await get(`/team/%61pp${tag}`), { status: 200 })
  symlinkSync('team/app', join(root, 'link'))
  symlinkSync('team', join(root, 'folder-link'))
  mkdirSync(join(root, 'team/app/inner/objects'), { recursive: true })
  mkdirSync(join(root, 'team/app/inner/refs/tags'), { recursive: true })
  mkdirSync(join(root, 'v2/objects'), { recursive: true })
  mkdirSync(join(root, 'v2/refs/tags'), { recursive: true })
  writeFileSync(join(root, 'file'), '')
  const absent = [
    '',
    'team',
    'link',
    'folder-link/app',
    'team/app/inner',
    'v2',
    'file',
    'team//app',
    'team/../team/app',
    'team/%2e%2e/other',
    'team%2fapp',
    'nope',
    '%zz',
    '%ff',
    'a/'.repeat(20),
    'x'.repeat(300),
  ]
  for (const path of absent) {
    const answer = await get(`/${path}${tag}`)
    t.equal(answer.status, 404, path)
    t.notMatch(String(answer.body), root, path)
  }
})

t.test(
  'serves a folder of version 1, and a root that is a repository itself',
  async t => {
    const root = t.testdir({ objects: {}, refs: { tags: {} } })
    await using server = createServer({ root })
    const { port } = await server.listen()
    const answer = await sendRaw(port, rawRequest('/?service=list-tags'))
    t.match(answer, { status: 200, body: Buffer.alloc(4) })
    t.match(await sendRaw(port, rawRequest('/objects?service=list-tags')), {
      status: 404,
    })
  },
)

t.test('notices a repository that was replaced behind its back', async t => {
  const { get, root } = await start(t)
  const target = `/team/app?service=get-tag&tag=${tagName}`
  t.match(await get(target), { status: 200 })
  renameSync(join(root, 'team/app'), join(root, 'team/old'))
  await makeRepositoryWith(join(root, 'team/app'))
  t.match(await get(target), { status: 404, body: Buffer.alloc(0) })
})

t.test('keeps few repositories open, and serves all', async t => {
  const { get, root } = await start(t, { maxOpenRepositories: 1 })
  await makeGoldenRepository(join(root, 'third'))
  for (const path of ['team/app', 'third', 'team/app', 'other', 'third']) {
    t.match(await get(`/${path}?service=list-tags`), { status: 200 })
  }
})

t.test('skips tag files that are none, with a line in the log', async t => {
  const { get, root, log } = await start(t)
  writeFileSync(join(root, 'team/app/refs/tags/broken'), 'short')
  writeFileSync(join(root, 'team/app/refs/tags/.stray'), 'x')
  const answer = await get('/team/app?service=list-tags')
  t.equal(answer.status, 200)
  t.equal(answer.body.readUInt32LE(), 1)
  t.equal(log.filter(({ level }) => level === 'warn').length, 2)
  t.match(await get('/team/app?service=get-tag&tag=broken'), { status: 500 })
})

t.test('takes no pushes when it is read-only', async t => {
  const { send, root } = await start(t, { readOnly: true, create: true })
  for (const path of ['team/app', 'new']) {
    const answer = await send(upgradeRequest(`/${path}?service=receive-objects`))
    t.equal(answer.status, 403)
    t.match(JSON.parse(String(answer.body)), { code: 'access_refused' })
  }
  await t.rejects(openRepository(join(root, 'new')), { code: 'repository_not_found' })
})

t.test('takes no anonymous pushes beyond the loopback unless allowed', async t => {
  const root = t.testdir()
  await makeGoldenRepository(join(root, 'app'))
  const bytes = upgradeRequest('/app?service=receive-objects')
  await using careful = createServer({ root })
  const { port } = await careful.listen({ host: '0.0.0.0' })
  t.equal(careful.pushRefusal, 'this server takes no anonymous pushes')
  t.match(await sendRaw(port, bytes), { status: 403 })
  t.match(await sendRaw(port, rawRequest('/app?service=list-tags')), { status: 200 })
  await using open = createServer({ root, allowAnonymousPush: true })
  const address = await open.listen({ host: '0.0.0.0' })
  await using stream = await openRawStream(address.port, '/app?service=receive-objects')
  t.equal(stream.received().length, 0)
})

t.test('makes a repository for a push only where that is asked and possible', async t => {
  const refusing = await start(t)
  t.match(await refusing.send(push('fresh')), { status: 404 })
  await refusing.server.close()
  const root = t.testdir({ occupied: { file: '' } })
  await makeRepositoryWith(join(root, 'whole'))
  const logged = new EventEmitter()
  const logger = (entry: LogEntry): void => void logged.emit('entry', entry)
  await using server = createServer({ root, create: true, logger })
  const { port } = await server.listen()
  t.match(await sendRaw(port, push('v2')), { status: 405 })
  for (const path of ['whole/inner', 'metrics/x', '.hidden', 'a/../b', '']) {
    t.match(await sendRaw(port, push(path)), { status: 404 }, path)
  }
  // Made by two pushes, these would turn the folder around them into a repository.
  for (const path of ['objects', 'refs/tags', 'team/objects', 'team/refs/tags']) {
    t.match(await sendRaw(port, push(path)), { status: 404 }, path)
  }
  const occupied = await sendRaw(port, push('occupied'))
  t.equal(occupied.status, 409)
  t.match(String(occupied.body), /"detail":"no repository can be made at /)
  t.notMatch(String(occupied.body), root)
  t.match(await sendRaw(port, rawRequest('/new?service=list-tags')), { status: 404 })
  const streams = await Promise.all([
    openRawStream(port, '/deep/er/new?service=receive-objects'),
    openRawStream(port, '/deep/er/new?service=receive-objects'),
  ])
  const made = await openRepository(join(root, 'deep/er/new'))
  const { algorithm, layout, compression } = made.config
  t.same([algorithm.name, layout, compression], ['blake3', 'pack', 'zstd:3'])
  // Nothing came, so nothing stays, but not before the last of them has ended.
  let left = streams.length
  for (const stream of streams) {
    const told = once(logged, 'entry')
    stream.socket.destroy()
    await told
    left -= 1
    t.equal(existsSync(join(root, 'deep')), left > 0)
  }
  t.same(readdirSync(root).toSorted(), ['occupied', 'whole'])
})

t.test(
  'answers 503 when all transfers are taken, and takes more when one ends',
  async t => {
    const { port, send } = await start(t, { limits: { transfers: 1 } })
    const target = '/team/app?service=serve-objects'
    const stream = await openRawStream(port, target)
    const refused = await send(upgradeRequest(target))
    t.equal(refused.status, 503)
    t.match(refused.head, /retry-after: 1\r\n/i)
    stream.socket.end(Buffer.of(0))
    await stream.ended
    await using next = await openRawStream(port, target)
    t.equal(next.received().length, 0)
  },
)

t.test('tells how it is, and is not ready while it closes', async t => {
  const { get, server, port } = await start(t)
  t.match(await get('/healthz'), { status: 200, body: Buffer.from('ok\n') })
  let ready = await get('/readyz')
  while (/recovering/.test(String(ready.body))) ready = await get('/readyz')
  t.match(ready, { status: 200 })
  t.match(await get('/HEALTHZ'), { status: 404 })
  const stream = await openRawStream(port, '/team/app?service=serve-objects')
  const closing = server.close({ graceMs: 60_000 })
  stream.socket.end(Buffer.of(0))
  await closing
  t.equal(server.address, undefined)
  await t.rejects(get('/healthz'), { code: 'ECONNREFUSED' })
  await server.close()
})

t.test(
  'lets a transfer finish while it closes, and aborts it after the grace',
  async t => {
    const { server, port, log } = await start(t)
    const stream = await openRawStream(port, '/team/app?service=serve-objects')
    await server.close({ graceMs: 50 })
    await stream.ended
    t.match(log.at(-1), { status: 101, error: 'the server is closing' })
  },
)

t.test('writes one entry a request, without secrets of the machine', async t => {
  const { get, log, root } = await start(t)
  await get(`/team/app?service=get-tag&tag=${tagName}`)
  await get('/nope%0a%1b?service=get-tag&tag=x')
  t.equal(log.length, 2)
  t.match(log[0], {
    level: 'info',
    method: 'GET',
    path: '/team/app',
    service: 'get-tag',
    status: 200,
    peer: '127.0.0.1',
  })
  t.match(log[0]?.id, /^[0-9a-f-]{36}$/)
  t.type(log[0]?.durationMs, 'number')
  t.match(log[1], { level: 'warn', status: 404, code: 'repository_not_found' })
  t.notMatch(JSON.stringify(log), root)
})

t.test('writes an entry for a refused upgrade too', async t => {
  const { send, log } = await start(t, { readOnly: true })
  await send(push('team/app'))
  await send(push('nope'))
  await send(upgradeRequest('/nope?service=serve-objects'))
  t.match(log, [{ status: 403 }, { status: 403 }, { status: 404 }])
})

t.test('logs what a transfer moved', async t => {
  const { port, log } = await start(t)
  await using stream = await openRawStream(port, '/team/app?service=serve-objects')
  const want = Buffer.concat([Buffer.of(1), encodeDescriptor(application), Buffer.of(0)])
  stream.socket.write(want)
  t.equal((await stream.until(98)).length, 98)
  stream.socket.end()
  await stream.ended
  await new Promise(resolve => setImmediate(resolve))
  t.match(log.at(-1), { status: 101, service: 'serve-objects', objects: 1, bytes: 98 })
  t.same(decodeDescriptor(encodeDescriptor(application)), application)
})
