import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { walkClosure } from '../../lib/closure/closure-walk.js'
import { type Descriptor, encodeDescriptor } from '../../lib/object/descriptor.js'
import type { Digest } from '../../lib/object/digest.js'
import { parseTagName } from '../../lib/object/tag-name.js'
import { pull } from '../../lib/remote/pull.js'
import { push } from '../../lib/remote/push.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import { encodeDigestRow } from '../../lib/remote/version2/digest-row.js'
import { encodePullRequest } from '../../lib/remote/version2/pull-message.js'
import { decodeBits, pushHeadMembers } from '../../lib/remote/version2/push-message.js'
import { encodeHead } from '../../lib/remote/version2/transfer-head.js'
import type { Repository } from '../../lib/repository/repository.js'
import { plainSource, writePackStream } from '../../lib/store/pack/pack-stream-writer.js'
import { createServer } from '../../server/cairn-server.js'
import type { ServerOptions } from '../../server/server-options.js'
import { makePolicy, rule } from '../support/access-policy.js'
import { documentedAnswers } from '../support/documented-answers.js'
import { makePackedRepository, storeFiles } from '../support/packed-repository.js'

const secret = ['what only others know', 'more of it']

type Role = 'stranger' | 'wrong' | 'pull' | 'push' | 'move' | 'admin' | 'elsewhere'

/** Serves one repository at `/team/repository`, with a tag `app` for its tree. */
async function serve(t: Test, options: Partial<ServerOptions> = {}) {
  const folder = t.testdir({ served: { team: {} }, near: {} })
  const root = join(folder, 'served')
  const far = await makePackedRepository(join(root, 'team'))
  const application = await storeFiles(far, secret, 'app')
  const near = await makePackedRepository(join(folder, 'near'))
  const auditLog = join(folder, 'audit')
  const policy = makePolicy(folder, { rules: [rule('anonymous', 'public/**', 'pull')] })
  const server = createServer({
    root,
    auditLog,
    access: { ...policy, failedLogins: { attempts: 1000 } },
    ...options,
  })
  t.teardown(() => server[Symbol.asyncDispose]())
  const { port } = await server.listen()
  const base = `http://127.0.0.1:${port}/team/repository`
  const ask = async (
    authorization: string | undefined,
    method: string,
    path: string,
    { type, body }: { type?: string; body?: Buffer | string } = {},
  ): Promise<Response> =>
    fetch(`${base}/${path}`, {
      method,
      headers: {
        ...(authorization && { authorization }),
        ...(type && { 'content-type': type }),
      },
      ...(body && { body }),
    })
  const grant = async (
    name: string,
    ...actions: Parameters<typeof policy.grant> extends [string, string, ...infer Rest]
      ? Rest
      : never
  ): Promise<string> =>
    `Bearer ${await policy.grant(name, 'team/repository', ...actions)}`
  const connect = (authorization: string): RemoteObjectStore => {
    const remote = new RemoteObjectStore(base, { authorization })
    t.teardown(() => remote[Symbol.asyncDispose]())
    return remote
  }
  const audit = (): Record<string, unknown>[] =>
    readFileSync(auditLog, 'utf8')
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Record<string, unknown>)
  return { far, near, application, policy, ask, grant, connect, audit, base }
}

function openBody(root: Descriptor, more: object = {}): string {
  return JSON.stringify({ root: encodeDescriptor(root).toString('hex'), ...more })
}

/** A transfer of some objects that sets a tag. */
async function transferOf(
  repository: Repository,
  root: Descriptor,
  digests: readonly Digest[],
  tag = 'mine',
): Promise<Buffer> {
  const batches = Readable.from(digests.length === 0 ? [] : [digests])
  const pack = writePackStream(batches, plainSource(repository.objects))
  const head = encodeHead(pushHeadMembers({ root, tag: { name: parseTagName(tag) } }))
  const chunks: Uint8Array[] = [head]
  for await (const chunk of pack) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function closureOf(repository: Repository, root: Descriptor): Promise<Digest[]> {
  const digests: Digest[] = []
  const order = 'children-first'
  for await (const batch of walkClosure(repository.objects, [root], { order })) {
    digests.push(...batch.map(({ digest }) => digest))
  }
  return digests
}

t.test('answers every route of protocol 2, method and role as documented', async t => {
  const { application, grant, policy, ask } = await serve(t)
  const credentials: Record<Role, string | undefined> = {
    stranger: undefined,
    wrong: `Bearer cairn_${'x'.repeat(43)}`,
    pull: await grant('pull', 'pull'),
    push: await grant('push', 'push'),
    move: await grant('move', 'push', 'tag-move'),
    admin: `Bearer ${await policy.grant('admin', '**', 'admin')}`,
    elsewhere: `Bearer ${await policy.grant('elsewhere', 'other', 'admin')}`,
  }
  const wants = { wants: ['app'], haves: [], known: [], codecs: [], plan: false }
  const row = encodeDigestRow([application.digest])
  const json = { type: 'application/json' }
  const bodies: Record<string, { type: string; body: Buffer | string }> = {
    'PUT v2/tags/NAME': { ...json, body: JSON.stringify({ digest: application.digest }) },
    'POST v2/pull': { type: 'application/cbor', body: encodePullRequest(wants) },
    'POST v2/uploads': { ...json, body: openBody(application) },
    'POST v2/uploads/ID/missing': { type: 'application/octet-stream', body: row },
    'POST v2/uploads/ID/packs': { type: 'application/vnd.cairn.transfer', body: row },
  }
  const documented = documentedAnswers('protocol 2')
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']
  const paths = new Set([...documented.keys()].map(route => route.split(' ')[1] ?? ''))
  for (const path of paths) {
    const target = path
      .replace('NAME', 'app')
      .replace('DIGEST', application.digest)
      .replace('/ID/', '/00/')
    for (const method of methods) {
      const route = `${method} ${path}`
      for (const [role, authorization] of Object.entries(credentials)) {
        const found = await ask(authorization, method, target, bodies[route])
        await found.arrayBuffer()
        const other = path === 'v2/nothing' ? 404 : 405
        const expected = documented.get(route)?.get(role) ?? other
        t.equal(found.status, expected, `${route} as ${role}`)
        if (found.status === 401) t.ok(found.headers.get('www-authenticate'))
      }
    }
  }
})

t.test('tells who may not read nothing of what is there', async t => {
  const { far, application, ask, grant, audit } = await serve(t)
  const writer = await grant('writer', 'push')
  const reader = await grant('reader', 'push', 'pull')
  const all = await closureOf(far, application)
  const type = 'application/json'
  const opening = openBody(application, {
    tag: 'app',
    candidates: [application.digest],
  })
  const open = async (who: string): Promise<Record<string, unknown>> => {
    const answer = await ask(who, 'POST', 'v2/uploads', { type, body: opening })
    return (await answer.json()) as Record<string, unknown>
  }
  const send = async (who: string, id: string, body: Buffer): Promise<number> => {
    const sent = { type: 'application/vnd.cairn.transfer', body }
    return (await ask(who, 'POST', `v2/uploads/${id}/packs`, sent)).status
  }
  t.match(await open(reader), {
    present: true,
    common: [application.digest],
    tag: application.digest,
  })
  const opened = await open(writer)
  const id = String(opened['id'])
  t.same(opened, { id, present: false, common: [] })
  const answer = await ask(writer, 'POST', `v2/uploads/${id}/missing`, {
    type: 'application/octet-stream',
    body: encodeDigestRow(all),
  })
  const missing = decodeBits(Buffer.from(await answer.arrayBuffer()), all.length)
  t.ok(all.every((_, index) => missing.get(index)))
  t.equal(await send(reader, id, Buffer.from('x')), 404, 'it belongs to its principal')
  // Only the root's name, all but a file, and all but the root: each refused.
  const infos = await far.objects.stat(all)
  const file = all.find((_, index) => infos[index]?.type === 'file')
  const shares = [
    [],
    all.filter(digest => digest !== file),
    all.filter(digest => digest !== application.digest),
  ]
  for (const share of shares) {
    const { id: next } = await open(writer)
    const body = await transferOf(far, application, share)
    t.equal(await send(writer, String(next), body), 409)
    t.equal(await far.tags.find('mine'), undefined)
  }
  const put = await ask(writer, 'PUT', 'v2/tags/mine?force=1', {
    type,
    body: JSON.stringify({ digest: application.digest }),
  })
  t.equal(put.status, 403)
  t.same(audit(), [])
  const { id: last } = await open(writer)
  const whole = await transferOf(far, application, all)
  t.equal(await send(writer, String(last), whole), 200)
  t.same(await far.tags.get('mine'), application)
  t.match(audit(), [
    { action: 'tag-set', who: 'token:writer', tag: 'mine', from: null },
    { action: 'push', who: 'token:writer', to: application.digest },
  ])
})

t.test('pushes with credentials, also of who may not read', async t => {
  const { far, near, grant, connect } = await serve(t)
  const own = await storeFiles(near, ['own', ...secret], 'own')
  const writer = connect(await grant('writer', 'push'))
  t.match(await push(writer, near, { ref: 'own' }), { upToDate: false })
  t.same(await far.tags.get('own'), own)
  t.match(await far.tags.log('own'), [{ who: 'token:writer@127.0.0.1' }])
  t.match(await push(writer, near, { ref: 'own' }), { upToDate: false }, 'sent again')
  await t.rejects(pull(writer, near, { tag: 'app' }), { message: /status 403/ })
  const reader = connect(await grant('reader', 'pull'))
  t.match(await pull(reader, near, { tag: 'app' }), { upToDate: false })
  await t.rejects(push(reader, near, { ref: 'own' }), { message: /status 403/ })
})

t.test('moves and removes a tag that is there only for who may', async t => {
  const { far, near, application, grant, connect, ask, audit } = await serve(t)
  const other = await storeFiles(near, ['other'], 'other')
  const both = await grant('both', 'push', 'pull')
  const adder = connect(both)
  const refused = { message: /status 403.*may not be moved/ }
  await t.rejects(push(adder, near, { ref: 'other', as: 'app' }), refused)
  t.same(await far.tags.get('app'), application)
  await push(adder, near, { ref: 'other', as: 'fresh' })
  const change = async (
    who: string,
    method: string,
    query = '?force=1',
  ): Promise<number> => {
    const body = JSON.stringify({ digest: other.digest })
    const sent = { type: 'application/json', ...(method === 'PUT' && { body }) }
    return (await ask(who, method, `v2/tags/app${query}`, sent)).status
  }
  t.equal(await change(both, 'PUT'), 403)
  t.equal(await change(both, 'DELETE'), 403)
  const mover = await grant('mover', 'push', 'pull', 'tag-move')
  t.equal(await change(mover, 'DELETE'), 403)
  t.equal(await change(mover, 'PUT'), 200)
  t.same(await far.tags.get('app'), other)
  t.equal(await change(await grant('remover', 'tag-delete'), 'DELETE'), 204)
  const moves = audit().filter(({ action }) => action !== 'push')
  t.match(moves, [
    { action: 'tag-set', who: 'token:both', tag: 'fresh', from: null },
    {
      action: 'tag-set',
      who: 'token:mover',
      from: application.digest,
      to: other.digest,
    },
    { action: 'tag-remove', who: 'token:remover', from: other.digest, to: null },
  ])
})

t.test('protects tags by this protocol, too', async t => {
  const { far, near, application, grant, connect, ask } = await serve(t)
  await far.tags.protection.add('app')
  await storeFiles(near, ['other'], 'other')
  const admin = await grant('admin', 'admin')
  await t.rejects(push(connect(admin), near, { ref: 'other', as: 'app' }), {
    code: 'tag_protected',
  })
  t.equal((await ask(admin, 'DELETE', 'v2/tags/app?force=1')).status, 403)
  t.same(await far.tags.get('app'), application)
})

t.test('holds pushes to limits and quota', async t => {
  const limits = [
    [{ treeObjects: 3 }, 413],
    [{ fileBytes: 5 }, 413],
    [{ totalBytes: 100 }, 413],
    [{ repositoryBytes: 1 }, 507],
    [{ freeBytes: Number.MAX_SAFE_INTEGER }, 507],
    [{ uploads: 0 }, 503],
    [{ transfersPerPrincipal: 0 }, 503],
  ] as const
  for (const [limit, status] of limits) {
    await t.test(JSON.stringify(limit), async t => {
      const { far, near, grant, connect } = await serve(t, { limits: limit })
      await storeFiles(near, ['a file', 'another'], 'app')
      const remote = connect(await grant('both', 'push', 'pull'))
      const pushed = push(remote, near, { ref: 'app', as: 'pushed' })
      await t.rejects(pushed, { message: new RegExp(`status ${status}`) })
      t.equal(await far.tags.find('pushed'), undefined)
    })
  }
})

t.test('lets caches of others keep what everyone may read only', async t => {
  const everyone = [rule('anonymous', '**', 'pull')]
  const open = { rules: everyone, tokens: undefined, passwords: undefined }
  for (const [options, shown] of [
    [{}, /^private, .*immutable/],
    [{ access: open }, /^public, .*immutable/],
  ] as const) {
    await t.test(String(shown), async t => {
      const { application, grant, ask } = await serve(t, options)
      const who = 'access' in options ? undefined : await grant('reader', 'pull')
      const answer = await ask(who, 'GET', `v2/objects/${application.digest}`)
      t.match(answer.headers.get('cache-control'), shown)
      t.equal(answer.headers.get('vary'), who === undefined ? null : 'Authorization')
    })
  }
})

async function* manyChunks(): AsyncGenerator<Buffer> {
  for (let chunk = 0; chunk < 64; chunk++) yield Buffer.alloc(65_536)
}

t.test('tells who sends much why it is refused, and takes his next request', async t => {
  const { near, base, grant, connect } = await serve(t)
  const authorization = await grant('pull', 'pull')
  for (let round = 0; round < 20; round++) {
    const refused = await fetch(`${base}/v2/uploads/00/packs`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/vnd.cairn.transfer' },
      body: Readable.toWeb(Readable.from(manyChunks())) as ReadableStream,
      duplex: 'half',
    })
    t.equal(refused.status, 403)
    t.match(await refused.json(), { code: 'access_refused' })
  }
  t.match(await pull(connect(authorization), near, { tag: 'app' }), { tag: 'app' })
})

t.test('tells what is wrong with a transfer while it still comes', async t => {
  const { application, base, ask, grant } = await serve(t)
  const authorization = await grant('push', 'push')
  const type = 'application/json'
  for (let round = 0; round < 5; round++) {
    const opened = await ask(authorization, 'POST', 'v2/uploads', {
      type,
      body: openBody(application),
    })
    const { id } = (await opened.json()) as { id: string }
    const refused = await fetch(`${base}/v2/uploads/${id}/packs`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/vnd.cairn.transfer' },
      body: Readable.toWeb(Readable.from(manyChunks())) as ReadableStream,
      duplex: 'half',
    })
    t.equal(refused.status, 422)
    t.equal(refused.headers.get('connection'), 'close')
    t.match(await refused.json(), { code: 'invalid_object' })
  }
})

t.test('does not wait for a body that does not come', async t => {
  const { base, grant } = await serve(t, { idleTimeoutMs: 300 })
  const authorization = await grant('push', 'push')
  const nothing = new ReadableStream({ start: () => undefined })
  const waiting = fetch(`${base}/v2/uploads`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: nothing,
    duplex: 'half',
  })
  await t.rejects(waiting, { name: 'TypeError' })
})
