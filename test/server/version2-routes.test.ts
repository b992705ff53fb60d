import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { algorithmOf } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import type { Repository } from '../../lib/repository/repository.js'
import { createServer } from '../../server/cairn-server.js'
import {
  makePackedRepository,
  putFiles,
  storeFiles,
} from '../support/packed-repository.js'
import { makeRepository } from '../support/scratch-repository.js'

const content = randomBytes(100_000)

type Place = {
  readonly repository: Repository
  readonly application: Descriptor
  readonly base: string
}

async function start(t: Test): Promise<Place> {
  const repository = await makePackedRepository(t.testdir())
  const application = await (async () => {
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'whole',
    })
    const made = await putFiles(session.objects, [content, 'small'])
    await session.objects.publish([made.digest])
    return made
  })()
  await repository.tags.set('app', application)
  const server = createServer({ root: repository.root })
  t.teardown(() => server[Symbol.asyncDispose]())
  const { port } = await server.listen()
  return { repository, application, base: `http://127.0.0.1:${port}/v2` }
}

t.test('tells what it can do', async t => {
  const { base, repository } = await start(t)
  const answer = await fetch(`${base}/`)
  t.equal(answer.status, 200)
  t.match(await answer.json(), {
    protocol: 2,
    id: repository.config.id,
    algorithm: 'blake3',
    codecs: ['raw', 'zstd'],
  })
})

t.test('serves objects that can be kept for ever, whole and in part', async t => {
  const { base } = await start(t)
  const listed = await fetch(`${base}/trees/app/`)
  const { entries } = (await listed.json()) as { entries: { digest: string }[] }
  const digest = entries[0]?.digest ?? ''
  const url = `${base}/objects/${digest}`
  const whole = await fetch(url)
  t.ok(Buffer.from(await whole.arrayBuffer()).equals(content))
  t.equal(whole.headers.get('etag'), `"${digest}"`)
  t.equal(whole.headers.get('cairn-object-type'), 'file')
  t.match(whole.headers.get('cache-control'), 'immutable')
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 1],
    ['bytes=99999-', 99_999, 100_000],
    ['bytes=-10', 99_990, 100_000],
    ['bytes=5000-200000', 5000, 100_000],
  ] as const) {
    const part = await fetch(url, { headers: { range } })
    t.equal(part.status, 206, range)
    t.equal(part.headers.get('content-range'), `bytes ${from}-${to - 1}/100000`)
    t.ok(Buffer.from(await part.arrayBuffer()).equals(content.subarray(from, to)), range)
  }
  for (const range of ['bytes=100000-', 'bytes=-0']) {
    const none = await fetch(url, { headers: { range } })
    t.equal(none.status, 416, range)
    t.equal(none.headers.get('content-range'), 'bytes */100000')
  }
  for (const range of ['bytes=9-3', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=-']) {
    const all = await fetch(url, { headers: { range } })
    t.equal(all.status, 200, range)
    t.equal((await all.arrayBuffer()).byteLength, 100_000)
  }
  const other = await fetch(url, { headers: { range: 'bytes=0-3', 'if-range': '"x"' } })
  t.equal(other.status, 200)
  const known = await fetch(url, { headers: { 'if-none-match': `"x", "${digest}"` } })
  t.equal(known.status, 304)
  const head = await fetch(url, { method: 'HEAD' })
  t.equal(head.headers.get('content-length'), '100000')
  t.equal((await head.arrayBuffer()).byteLength, 0)
})

t.test('says in a problem document what is wrong', async t => {
  const { base } = await start(t)
  const absent = `0a${'00'.repeat(32)}`
  for (const [path, method, status, code] of [
    ['objects/xyz', 'GET', 400, 'invalid_digest'],
    [`objects/${absent}`, 'GET', 404, 'object_not_found'],
    ['tags/nope', 'GET', 404, 'tag_not_found'],
    ['tags/..%2fx', 'GET', 404, 'repository_not_found'],
    ['tags/.x', 'GET', 400, 'invalid_tag_name'],
    ['tags?limit=0', 'GET', 400, 'invalid_argument'],
    ['tags?limit=1&limit=2', 'GET', 400, 'invalid_argument'],
    ['tags?what=1', 'GET', 400, 'invalid_argument'],
    ['trees/nope', 'GET', 404, 'ref_not_found'],
    ['trees/app/nope', 'GET', 404, 'path_not_found'],
    ['trees/app/00000000/x', 'GET', 404, 'path_not_found'],
    ['trees/app/%zz', 'GET', 400, 'protocol_violation'],
    ['trees/app?stat=2', 'GET', 400, 'invalid_argument'],
    ['pull', 'POST', 400, 'protocol_violation'],
    ['uploads', 'POST', 400, 'protocol_violation'],
    ['uploads/0/missing', 'POST', 400, 'protocol_violation'],
    ['nothing', 'GET', 404, undefined],
    ['tags', 'POST', 405, undefined],
    ['pull', 'GET', 405, undefined],
  ] as const) {
    const answer = await fetch(`${base}/${path}`, { method })
    t.equal(answer.status, status, `${method} ${path}`)
    t.match(answer.headers.get('content-type'), 'application/problem+json')
    t.equal(answer.headers.get('cache-control'), 'no-store')
    t.equal(((await answer.json()) as { code?: string }).code, code, `${method} ${path}`)
  }
})

t.test('moves a tag only for who says what it was', async t => {
  const { base, repository, application } = await start(t)
  const { digest } = application
  const change = async (
    method: string,
    headers: Record<string, string>,
    query = '',
  ): Promise<number> => {
    const body = method === 'PUT' ? JSON.stringify({ digest, message: 'm' }) : null
    const type = { 'content-type': 'application/json' }
    const url = `${base}/tags/other${query}`
    return (await fetch(url, { method, headers: { ...type, ...headers }, body })).status
  }
  t.equal(await change('PUT', {}), 428)
  t.equal(await change('PUT', { 'if-match': `"${digest}"` }), 412)
  t.equal(await change('PUT', { 'if-none-match': '*' }), 200)
  t.same(await repository.tags.get('other'), application)
  t.match(await repository.tags.log('other'), [{ who: '127.0.0.1', message: 'm' }])
  t.equal(await change('PUT', { 'if-none-match': '*' }), 412)
  t.equal(await change('PUT', { 'if-match': `"${digest}"` }), 200)
  t.equal(await change('DELETE', {}), 428)
  t.equal(await change('DELETE', { 'if-match': '"x"' }), 412)
  t.equal(await change('DELETE', { 'if-match': `"${digest}"` }), 204)
  t.equal(await repository.tags.find('other'), undefined)
  t.equal(await change('PUT', {}, '?force=1'), 200)
  t.equal(await change('DELETE', {}, '?force=1'), 204)
  t.equal(await change('DELETE', {}, '?force=1'), 404)
})

t.test('lists tags in pages, and the changes of one', async t => {
  const { base, repository, application } = await start(t)
  for (const name of ['a', 'b', 'z']) await repository.tags.set(name, application)
  const names: string[] = []
  let next: string | undefined = ''
  while (next !== undefined) {
    const answer = await fetch(`${base}/tags?limit=2&after=${next}`)
    const page = (await answer.json()) as { tags: { name: string }[]; next?: string }
    names.push(...page.tags.map(({ name }) => name))
    next = page.next
  }
  t.same(names, ['a', 'app', 'b', 'z'])
  const answer = await fetch(`${base}/tags/a/log`)
  t.match(await answer.json(), {
    changes: [{ sequence: 1, kind: 'set', old: null, new: application.digest }],
  })
  const tag = await fetch(`${base}/tags/app`)
  t.match(await tag.json(), { name: 'app', digest: application.digest })
  const etag = tag.headers.get('etag') ?? ''
  const same = await fetch(`${base}/tags/app`, { headers: { 'if-none-match': etag } })
  t.equal(same.status, 304)
})

t.test('shows trees without a pull, as JSON or CBOR', async t => {
  const { base } = await start(t)
  const file = await fetch(`${base}/trees/app/00000000`)
  t.ok(Buffer.from(await file.arrayBuffer()).equals(content))
  const part = await fetch(`${base}/trees/app/00000000`, {
    headers: { range: 'bytes=1-2' },
  })
  t.ok(Buffer.from(await part.arrayBuffer()).equals(content.subarray(1, 3)))
  const stat = await fetch(`${base}/trees/app/00000001?stat=1`)
  const facts = (await stat.json()) as { digest: string }
  t.match(facts, { name: '00000001', kind: 'regular', size: 5, uid: 0 })
  const blake3 = algorithmOf(facts.digest as never)
  t.equal(digestObject(blake3, 'file', Buffer.from('small')), facts.digest)
  const page = await fetch(`${base}/trees/app?limit=1&offset=1`)
  const { entries, ...rest } = (await page.json()) as { entries: { name: string }[] }
  t.same(
    entries.map(({ name }) => name),
    ['00000001'],
  )
  t.same(rest, {})
  const first = await fetch(`${base}/trees/app?limit=1`)
  t.match(await first.json(), { entries: [{ name: '00000000' }], next: 1 })
  const cbor = await fetch(`${base}/trees/app`, {
    headers: { accept: 'application/cbor' },
  })
  t.equal(cbor.headers.get('content-type'), 'application/cbor')
  t.equal(Buffer.from(await cbor.arrayBuffer())[0], 0xa1)
})

t.test('serves objects that other programs can check', async t => {
  const repository = await makeRepository(t.testdir(), { algorithm: 'sha512-256' })
  await storeFiles(repository, [content], 'app')
  await using server = createServer({ root: repository.root })
  const { port } = await server.listen()
  const base = `http://127.0.0.1:${port}/v2`
  const stat = await fetch(`${base}/trees/app/00000000?stat=1`)
  const { digest } = (await stat.json()) as { digest: string }
  const answer = await fetch(`${base}/objects/${digest}`)
  const input = Buffer.concat([Buffer.of(0), Buffer.from(await answer.arrayBuffer())])
  const hash = execFileSync('openssl', ['dgst', '-sha512-256', '-r'], { input })
  t.equal(`05${hash.toString().slice(0, 64)}`, digest)
})
