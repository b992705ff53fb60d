import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { openSnapshotter } from '../../../lib/snapshot/open-snapshotter.js'
import { type FinishedCall, logEntryOf } from '../../../server/grpc/finished-call.js'
import { SnapshotClient } from '../../../server/grpc/snapshot-client.js'
import { loadSnapshotService } from '../../../server/grpc/snapshot-protocol.js'
import { SnapshotServer } from '../../../server/grpc/snapshot-server.js'
import { socketFolder } from '../../support/snapshots/socket-folder.js'
import { key, labels, walkAll } from '../../support/snapshots/subject.js'
import { startSnapshotter } from '../../support/start-snapshotter.js'
import { testFolder } from '../../support/test-folder.js'

async function serve(t: Test, onCall?: (call: FinishedCall) => void) {
  const root = join(testFolder(t), 'root')
  const socket = join(socketFolder(t), 'socket')
  const snapshotter = await openSnapshotter(root, {
    driver: 'native',
    contentSync: 'none',
  })
  const options = { snapshotter, socket, ...(onCall && { onCall }) }
  const server = await SnapshotServer.listen(options)
  const client = new SnapshotClient(socket)
  t.teardown(async () => {
    await client.close()
    await server.close()
    await snapshotter.close()
  })
  return { client, server, snapshotter, socket, root }
}

t.test('lets only root and its group connect', async t => {
  const { socket, server } = await serve(t)
  t.ok(statSync(socket).isSocket())
  t.equal(statSync(socket).mode & 0o777, 0o660)
  await server.close()
  t.notOk(existsSync(socket), 'the socket goes with the server')
})

t.test('replaces the socket of a dead server, and nothing else', async t => {
  const { socket, snapshotter } = await serve(t)
  await t.rejects(SnapshotServer.listen({ snapshotter, socket }), { code: 'lock_busy' })
  const folder = socketFolder(t)
  const file = join(folder, 'file')
  writeFileSync(file, 'precious')
  await t.rejects(SnapshotServer.listen({ snapshotter, socket: file }), {
    code: 'invalid_argument',
  })
  const long = join(folder, 's'.repeat(120))
  await t.rejects(SnapshotServer.listen({ snapshotter, socket: long }), {
    code: 'invalid_argument',
  })
  // A process that dies leaves its socket: one that nobody listens at any more.
  const stale = join(folder, 'stale')
  const script = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`
  await promisify(execFile)(process.execPath, ['-e', script]).catch(() => undefined)
  t.ok(existsSync(stale))
  await using server = await SnapshotServer.listen({ snapshotter, socket: stale })
  await using client = new SnapshotClient(server.socket)
  t.same(await walkAll(client), [])
})

t.test('leaves a socket alone that another has put in its place', async t => {
  const { socket, server } = await serve(t)
  const other = createServer()
  unlinkSync(socket)
  other.listen(socket)
  await once(other, 'listening')
  await server.close()
  t.ok(existsSync(socket))
  other.close()
})

t.test('answers with the statuses that clients go by', async t => {
  const { socket, client } = await serve(t)
  const raw = new Client(`unix:${socket}`, credentials.createInsecure())
  t.teardown(() => raw.close())
  const service = loadSnapshotService()
  const call = async (asked: string, request: object): Promise<number> => {
    const method = service[asked]
    if (method === undefined) throw new Error(asked)
    return new Promise(resolve => {
      raw.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        (error: ServiceError | null) => resolve(error?.code ?? 0),
      )
    })
  }
  t.equal(await call('Prepare', { key: name('a') }), 0)
  t.equal(await call('Prepare', { key: name('a') }), 6)
  t.equal(await call('Prepare', { key: name('') }), 3)
  t.equal(await call('Prepare', { key: name('b'), parent: name('a') }), 3)
  t.equal(await call('Prepare', { key: name('b'), parent: name('none') }), 5)
  t.equal(await call('Commit', { name: name('A'), key: name('a') }), 0)
  t.equal(await call('Mounts', { key: name('A') }), 9)
  t.equal(await call('Commit', { name: name('B'), key: name('A') }), 9)
  t.equal(await call('Stat', { key: name('none') }), 5)
  t.equal(await call('Update', {}), 3)
  t.equal(await call('Prepare', { key: name('b'), parent: name('A') }), 0)
  t.equal(await call('Remove', { key: name('A') }), 9)
  t.equal(await call('Prepare', { key: Buffer.alloc(40_000, 'k') }), 3)
  const bad = [{ key: Buffer.from([0xff]), value: name('x') }]
  t.equal(await call('Prepare', { key: name('c'), labels: bad }), 3)
  await t.rejects(walkAll(client, ['name=']), { code: 'invalid_argument' })
})

t.test('streams as fast as the client takes it, and stops when it goes', async t => {
  const { client, snapshotter } = await serve(t)
  const large = labels({ text: 'x'.repeat(100_000) })
  const names = Array.from({ length: 400 }, (_, index) => key(`k${index}`))
  await Promise.all(names.map(each => snapshotter.view(each, { labels: large })))
  t.equal((await walkAll(client)).length, 400, '40 MB, in messages that a client takes')
  let seen = 0
  for await (const batch of client.walk()) {
    seen += batch.length
    break
  }
  t.ok(seen > 0 && seen < 400)
  const given = new AbortController()
  const walking = async (): Promise<void> => {
    for await (const batch of client.walk([], { signal: given.signal })) {
      t.ok(batch.length > 0)
      given.abort(new Error('given up'))
    }
  }
  await t.rejects(walking(), { message: 'given up' })
  t.ok(await client.stat(key('k1')))
})

t.test('tells of every call, and logs those that change something', async t => {
  const calls: FinishedCall[] = []
  const { client } = await serve(t, call => calls.push(call))
  await client.prepare(key('a\n'))
  await client.stat(key('a\n'))
  await client.prepare(key('a\n')).catch(() => undefined)
  await walkAll(client)
  t.same(
    calls.map(({ method, status }) => [method, status]),
    [
      ['Prepare', 0],
      ['Stat', 0],
      ['Prepare', 6],
      ['List', 0],
    ],
  )
  const entries = calls.flatMap(call => logEntryOf(call) ?? [])
  t.match(entries, [
    { method: 'Prepare', key: 'a\\x0a', status: 0, level: 'info' },
    { method: 'Prepare', status: 6, code: 'ALREADY_EXISTS' },
  ])
})

t.test('ends within seconds of SIGTERM, and lets another go on', async t => {
  const root = join(testFolder(t), 'root')
  const socket = join(socketFolder(t), 'socket')
  const args = ['--socket', socket, '--root', root, '--driver', 'native']
  const first = await startSnapshotter(t, args)
  const client = new SnapshotClient(socket)
  t.teardown(() => client.close())
  await client.prepare(key('a'))
  chmodSync(socket, 0o600)
  const start = performance.now()
  t.equal(await first.stop(), 0)
  t.ok(performance.now() - start < 5000)
  t.notOk(existsSync(socket))
  const second = await startSnapshotter(t, args)
  t.equal(await second.stop('SIGKILL'), 'SIGKILL')
  t.ok(existsSync(socket), 'what a killed one leaves')
  await startSnapshotter(t, args)
  await using again = new SnapshotClient(socket)
  t.equal((await again.stat(key('a'))).kind, 'active')
})

function name(text: string): Buffer {
  return Buffer.from(text)
}
