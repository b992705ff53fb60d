import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pull } from '../../lib/remote/pull.js'
import { push } from '../../lib/remote/push.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import { openRepository } from '../../lib/repository/open.js'
import type { AccessPolicy } from '../../server/auth/authenticate.js'
import { parseGrant } from '../../server/auth/grants.js'
import { createServer } from '../../server/cairn-server.js'
import type { LogEntry } from '../../server/log-entry.js'
import type { ServerOptions } from '../../server/server-options.js'
import { basic, makePolicy, rule } from '../support/access-policy.js'
import { documentedAnswers } from '../support/documented-answers.js'
import {
  fileEntry,
  forge,
  forgeApplication,
  forgeDirectory,
  forgeHeader,
} from '../support/forged-peer.js'
import { makeGoldenRepository, makeRepositoryWith } from '../support/golden-repository.js'
import { loadGoldenTree } from '../support/golden-tree.js'
import { rawRequest, sendRaw } from '../support/raw-http.js'
import { openRawPush } from '../support/raw-push.js'
import { testFolder } from '../support/test-folder.js'

const { application, tagName } = loadGoldenTree()
const header = forgeHeader()

async function serve(
  t: Test,
  options: Partial<ServerOptions> = {},
  failedLogins: AccessPolicy['failedLogins'] = {},
) {
  const folder = testFolder(t, { served: { team: {} } })
  const root = join(folder, 'served')
  await makeGoldenRepository(join(root, 'team', 'app'))
  await makeRepositoryWith(join(root, 'other'))
  const log: LogEntry[] = []
  const policy = makePolicy(folder, {
    rules: [
      rule('user:alice', 'team/*', 'pull', 'push'),
      rule('authenticated', 'shared/**', 'pull'),
    ],
    users: ['alice', 'bob'],
  })
  const server = createServer({
    root,
    access: { ...policy, failedLogins },
    logger: entry => void log.push(entry),
    ...options,
  })
  t.teardown(() => server[Symbol.asyncDispose]())
  const { port } = await server.listen()
  const send = async (
    target: string,
    authorization?: string,
    { method = 'GET', headers = [] }: { method?: string; headers?: string[] } = {},
  ) => {
    const own = authorization === undefined ? [] : [`Authorization: ${authorization}`]
    const close = headers.length > 0 ? headers : ['Connection: close']
    return sendRaw(port, rawRequest(target, { method, headers: [...close, ...own] }))
  }
  return { folder, root, server, port, log, policy, send }
}

type Role = 'stranger' | 'wrong' | 'pull' | 'push' | 'move' | 'admin' | 'elsewhere'

t.test('answers every route, method and role as documented', async t => {
  // Who is let through to a stream is let go soon; wrong credentials are sent often.
  const { policy, send } = await serve(t, { idleTimeoutMs: 500 }, { attempts: 1000 })
  const credentials: Record<Role, string | undefined> = {
    stranger: undefined,
    wrong: `Bearer cairn_${'x'.repeat(43)}`,
    pull: `Bearer ${await policy.grant('pull', 'team/app', 'pull')}`,
    push: `Bearer ${await policy.grant('push', 'team/app', 'push')}`,
    move: `Bearer ${await policy.grant('move', 'team/app', 'push', 'tag-move')}`,
    admin: `Bearer ${await policy.grant('admin', '**', 'admin')}`,
    elsewhere: `Bearer ${await policy.grant('elsewhere', 'other', 'admin')}`,
  }
  const upgrade = ['Content-Length: 0', 'Connection: Upgrade', 'Upgrade: tcp']
  const routes: Record<string, { target: string; headers?: string[] }> = {
    'get-tag': { target: `/team/app?service=get-tag&tag=${tagName}` },
    'get-tag, no such tag': { target: '/team/app?service=get-tag&tag=none' },
    'get-tag, no such repository': { target: '/team/none?service=get-tag&tag=none' },
    'list-tags': { target: '/team/app?service=list-tags' },
    'serve-objects': { target: '/team/app?service=serve-objects', headers: upgrade },
    'serve-objects, no upgrade': { target: '/team/app?service=serve-objects' },
    'receive-objects': { target: '/team/app?service=receive-objects', headers: upgrade },
    'receive-objects, no upgrade': { target: '/team/app?service=receive-objects' },
    'no service': { target: '/team/app' },
    '/healthz': { target: '/healthz' },
    '/readyz': { target: '/readyz' },
    '/metrics': { target: '/metrics' },
  }
  const documented = documentedAnswers('route')
  t.same([...documented.keys()], Object.keys(routes), 'the table names every route')
  for (const [route, { target, headers = [] }] of Object.entries(routes)) {
    const isOwn = target.startsWith('/healthz') || target.startsWith('/readyz')
    const methods =
      headers.length > 0 || isOwn || target === '/metrics'
        ? ['GET']
        : ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']
    for (const [role, authorization] of Object.entries(credentials)) {
      for (const method of methods) {
        const found = await send(target, authorization, {
          method,
          headers,
        })
        const expected = documented.get(route)?.get(role)
        t.equal(found.status, expected, `${method} ${route} as ${role}`)
        if (found.status === 401) {
          t.match(found.head, /www-authenticate: bearer realm="cairn"/i)
        }
      }
    }
  }
})

t.test('lets users in by their passwords, and shows nothing to others', async t => {
  const { send, log } = await serve(t)
  const target = `/team/app?service=get-tag&tag=${tagName}`
  t.match(await send(target, basic('alice')), { status: 200 })
  t.match(await send(target, basic('alice')), { status: 200 }, 'from the cache')
  t.match(await send(target, basic('bob')), { status: 403 })
  for (const wrong of [
    basic('alice', 'wrong'),
    basic('nobody'),
    basic('alice', ''),
    'Basic !!!',
    'Digest x',
    'Bearer',
    `Bearer ${'x'.repeat(5000)}`,
  ]) {
    t.match(await send(target, wrong), { status: 401 }, wrong.slice(0, 40))
  }
  const text = JSON.stringify(log)
  t.notMatch(text, /alice-password/)
  t.notMatch(text, Buffer.from('alice:alice').toString('base64').slice(0, 12))
  t.match(log[0], { who: 'user:alice' })
})

t.test('refuses an address that was wrong too often, but no valid token', async t => {
  const { send, policy } = await serve(t)
  const target = `/team/app?service=get-tag&tag=${tagName}`
  const token = await policy.grant('ci', 'team/app', 'pull')
  for (let count = 0; count < 10; count++) {
    t.match(await send(target, 'Bearer wrong'), { status: 401 })
  }
  const refused = await send(target, basic('alice'))
  t.equal(refused.status, 429)
  t.match(refused.head, /retry-after: \d+\r\n/i)
  t.match(await send(target, `Bearer ${token}`), { status: 200 })
})

t.test('stops taking a token when it is revoked or has expired', async t => {
  const { send, policy } = await serve(t)
  const target = `/team/app?service=get-tag&tag=${tagName}`
  const token = await policy.grant('ci', 'team/**', 'pull')
  t.match(await send(target, `Bearer ${token}`), { status: 200 })
  t.match(await send(target, basic('anyone', token)), { status: 200 }, 'as a password')
  await policy.tokens.revoke('ci')
  t.match(await send(target, `Bearer ${token}`), { status: 401 })
  const { token: expired } = await policy.tokens.create({
    name: 'old',
    grant: parseGrant(['team/**'], ['pull']),
    expires: Date.now() - 1,
  })
  t.match(await send(target, `Bearer ${expired}`), { status: 401 })
  t.notMatch(readFileSync(policy.tokens.path, 'utf8'), token)
})

t.test('tells a principal without pull nothing of what is there', async t => {
  const { root, port, policy } = await serve(t)
  const secret = forge('file', Buffer.from('what only others know'))
  const directory = forgeDirectory([fileEntry('f', header, secret)])
  const others = forgeApplication(header, directory)
  const served = await openRepository(join(root, 'other'), { access: 'write' })
  {
    await using session = await served.begin({ purpose: 'store', publishing: 'whole' })
    const all = [secret, header, directory, others]
    await session.objects.put(
      all.map(({ descriptor, payload }) => ({ type: descriptor.type, payload })),
    )
    await session.objects.publish([others.descriptor.digest])
  }
  const writer = `Bearer ${await policy.grant('writer', 'other', 'push')}`
  const target = '/other?service=receive-objects&tag=mine'
  const withToken = [`Authorization: ${writer}`]
  {
    await using lying = await openRawPush(port, target, others, withToken)
    t.equal(await lying.serve([others, directory, header]), 'unserved', 'it must be sent')
  }
  t.equal(await served.tags.find('mine'), undefined)
  await using honest = await openRawPush(port, target, others, withToken)
  t.equal(await honest.serve([others, directory, header, secret]), 'done')
  t.equal((await served.tags.get('mine')).digest, others.descriptor.digest)
  const reader = `Bearer ${await policy.grant('both', 'other', 'push', 'pull')}`
  const again = '/other?service=receive-objects&tag=theirs'
  await using knowing = await openRawPush(port, again, others, [
    `Authorization: ${reader}`,
  ])
  t.equal(await knowing.serve([]), 'done', 'who may read need send nothing')
})

t.test('moves a tag that is there only for who may', async t => {
  const { root, port, policy, log } = await serve(t)
  const other = forgeApplication(header, forgeDirectory([]))
  const objects = [other, header, forgeDirectory([])]
  const target = `/team/app?service=receive-objects&tag=${tagName}`
  const served = await openRepository(join(root, 'team/app'))
  const adder = `Authorization: Bearer ${await policy.grant('adder', 'team/app', 'push')}`
  await using refused = await openRawPush(port, target, other, [adder])
  t.equal(await refused.serve(objects), 'closed')
  t.same(await served.tags.get(tagName), application)
  t.match(log.at(-1), { code: 'access_refused', who: 'token:adder' })
  const fresh = '/team/app?service=receive-objects&tag=fresh'
  await using added = await openRawPush(port, fresh, other, [adder])
  t.equal(await added.serve(objects), 'done')
  const token = await policy.grant('mover', 'team/app', 'push', 'tag-move')
  await using moved = await openRawPush(port, target, other, [
    `Authorization: Bearer ${token}`,
  ])
  t.equal(await moved.serve(objects), 'done')
  t.equal((await served.tags.get(tagName)).digest, other.descriptor.digest)
})

t.test('pushes and pulls with credentials, and without the right to read', async t => {
  const { folder, port, policy } = await serve(t)
  mkdirSync(join(folder, 'near'))
  const near = await makeGoldenRepository(join(folder, 'near/repository'))
  const url = `http://127.0.0.1:${port}/other`
  const writer = await policy.grant('writer', 'other', 'push')
  const reader = await policy.grant('reader', 'other', 'pull')
  await using stranger = new RemoteObjectStore(url)
  await t.rejects(stranger.listTags(), {
    code: 'remote_refused',
    message: /status 401/,
  })
  await using writing = new RemoteObjectStore(url, { authorization: `Bearer ${writer}` })
  t.match(await push(writing, near, { ref: tagName }), { tag: tagName })
  await t.rejects(writing.listTags(), { code: 'remote_refused', message: /status 403/ })
  await using reading = new RemoteObjectStore(url, { authorization: `Bearer ${reader}` })
  const far = await makeRepositoryWith(join(folder, 'near/far'))
  t.match(await pull(reading, far, { tag: tagName }), { application })
  await t.rejects(push(reading, near, { ref: tagName, as: 'more' }), {
    message: /status 403/,
  })
})
