import { EventEmitter, once } from 'node:events'
import { existsSync, linkSync, readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { encodeDescriptor } from '../../lib/object/descriptor.js'
import { encodeWireItem } from '../../lib/remote/wire-item.js'
import type { Repository } from '../../lib/repository/repository.js'
import { createServer } from '../../server/cairn-server.js'
import type { LogEntry } from '../../server/log-entry.js'
import type { ServerOptions } from '../../server/server-options.js'
import {
  forge,
  forgeApplication,
  forgeDirectory,
  forgeHeader,
} from '../support/forged-peer.js'
import { makeGoldenRepository, makeRepositoryWith } from '../support/golden-repository.js'
import { bytesFrom, loadTranscript } from '../support/golden-transcript.js'
import { loadGoldenTree } from '../support/golden-tree.js'
import {
  openRawStream,
  rawRequest,
  sendRaw,
  upgradeRequest,
} from '../support/raw-http.js'
import { splitHead } from '../support/replay-socket.js'
import { testFolder } from '../support/test-folder.js'

const { application } = loadGoldenTree()
const pushEvents = loadTranscript('push-empty').connections[0] ?? []
const pushedBytes = splitHead(bytesFrom(pushEvents, 'client')).body
const descriptorBytes = encodeDescriptor(application)

type Place = {
  readonly port: number
  readonly repository: Repository
  readonly log: LogEntry[]
  /** Waits for the log entry that ends a transfer. */
  readonly ended: () => Promise<LogEntry>
}

async function start(
  t: Test,
  { filled = false, ...options }: Partial<ServerOptions> & { filled?: boolean } = {},
): Promise<Place> {
  const root = join(testFolder(t), 'repository')
  const repository = await (filled
    ? makeGoldenRepository(root)
    : makeRepositoryWith(root))
  const log: LogEntry[] = []
  let wake: (() => void) | undefined
  const server = createServer({
    root,
    logger: entry => {
      log.push(entry)
      wake?.()
    },
    ...options,
  })
  t.teardown(() => server[Symbol.asyncDispose]())
  const { port } = await server.listen()
  const ended = async (): Promise<LogEntry> => {
    for (;;) {
      const found = log.find(
        ({ message, status }) => message === 'request' && status === 101,
      )
      if (found !== undefined) {
        log.splice(log.indexOf(found), 1)
        return found
      }
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
  return { port, repository, log, ended }
}

async function objectCount({ objects }: Repository): Promise<number> {
  let count = 0
  for await (const batch of objects.list()) count += batch.length
  return count
}

/** What sessions leave below a repository. */
function leftovers({ root }: Repository): string[] {
  return ['temp', 'staging', 'sessions'].flatMap(name => {
    const folder = join(root, name)
    if (!existsSync(folder)) return []
    return readdirSync(folder, { recursive: true })
      .map(String)
      .filter(entry => !/^(counter|next|last)/.test(entry))
  })
}

const push = '/?service=receive-objects&tag=pushed'

t.test('keeps nothing of a push that is closed after any part of it', async t => {
  const { port, repository, ended } = await start(t)
  const cuts = [
    0,
    1,
    2,
    30,
    55,
    56,
    57,
    100,
    153,
    154,
    155,
    1000,
    2015,
    2016,
    2020,
    5000,
    16_000,
    pushedBytes.length - 1,
  ]
  for (const length of cuts) {
    const stream = await openRawStream(port, push)
    stream.socket.end(pushedBytes.subarray(0, length))
    await stream.ended
    const entry = await ended()
    t.equal(entry.code, 'connection_lost', `cut after ${length} bytes`)
    t.equal(await objectCount(repository), 0, `cut after ${length} bytes`)
  }
  t.equal(await repository.tags.find('pushed'), undefined)
  t.same(leftovers(repository), [])
})

t.test('keeps the old tag when a push fails', async t => {
  const { port, repository, ended } = await start(t, { filled: true })
  const header = forgeHeader()
  const root = forgeDirectory([])
  const other = forgeApplication(header, root)
  await repository.tags.set('pushed', application)
  const before = await objectCount(repository)
  const stream = await openRawStream(port, push)
  stream.socket.write(encodeDescriptor(other.descriptor))
  await stream.until(57)
  stream.socket.end(Buffer.alloc(other.payload.length))
  await stream.ended
  t.equal((await ended()).code, 'corrupt_object')
  t.same(await repository.tags.get('pushed'), application)
  t.equal(await objectCount(repository), before)
})

t.test('closes a push of what is no application without asking', async t => {
  const { port, ended } = await start(t)
  for (const type of ['file', 'directory', 'header'] as const) {
    await using stream = await openRawStream(port, push)
    stream.socket.write(
      encodeDescriptor({ ...forge('file', Buffer.of(1)).descriptor, type }),
    )
    await stream.ended
    t.equal(stream.received().length, 0)
    t.equal((await ended()).code, 'protocol_violation')
  }
})

t.test('refuses a push whose sizes lie, without taking memory for them', async t => {
  const { port, ended } = await start(t)
  const sizes = [
    64n * 1024n * 1024n + 1n,
    2n ** 36n,
    2n ** 53n,
    2n ** 62n,
    2n ** 64n - 1n,
  ]
  for (const size of sizes) {
    const bytes = Buffer.from(descriptorBytes)
    bytes.writeBigUInt64LE(size, 35)
    await using stream = await openRawStream(port, push)
    stream.socket.write(bytes)
    await stream.ended
    t.equal(stream.received().length, 0)
    t.match((await ended()).code, /^(limit_exceeded|protocol_violation)$/)
  }
})

t.test(
  'closes on digests of bad length, unknown algorithm and foreign bytes',
  async t => {
    const { port, ended } = await start(t, { filled: true })
    const unknown = Buffer.from(descriptorBytes)
    unknown[2] = 0xff
    for (const bytes of [
      Buffer.from('0000', 'hex'),
      Buffer.from('010005', 'hex'),
      Buffer.from('ffff', 'hex'),
      unknown,
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    ]) {
      await using stream = await openRawStream(port, push)
      stream.socket.write(bytes)
      await stream.ended
      t.equal((await ended()).code, 'protocol_violation')
    }
    for (const hex of ['010000', '01010005', '0102000500', '07', '020300050000']) {
      await using stream = await openRawStream(port, '/?service=serve-objects')
      stream.socket.write(Buffer.from(hex, 'hex'))
      await stream.ended
      t.equal(stream.received().length, 0)
      t.equal((await ended()).code, 'protocol_violation', hex)
    }
  },
)

t.test('sends nothing behind the 101 before it has read something', async t => {
  const { port } = await start(t, { filled: true })
  for (const target of [push, '/?service=serve-objects']) {
    await using stream = await openRawStream(port, target)
    // Another request has gone all the way meanwhile.
    await sendRaw(port, rawRequest('/?service=list-tags'))
    t.equal(stream.received().length, 0)
  }
})

t.test('takes garbage behind everything for an end, and goes on serving', async t => {
  const { port, ended } = await start(t, { filled: true })
  await using stream = await openRawStream(port, '/?service=serve-objects')
  stream.socket.write(encodeWireItem({ kind: 'want', descriptor: application }))
  await stream.until(98)
  stream.socket.write(Buffer.from('02ffffdeadbeef', 'hex'))
  await stream.ended
  t.match(await ended(), { objects: 1, code: 'protocol_violation' })
  t.match(await sendRaw(port, rawRequest('/?service=list-tags')), { status: 200 })
})

t.test('takes bytes that are glued to the upgrade request', async t => {
  const { port, repository } = await start(t)
  const request = splitHead(bytesFrom(pushEvents, 'client')).head
  const answer = await sendRaw(port, Buffer.concat([Buffer.from(request), pushedBytes]))
  t.equal(answer.status, 101)
  t.same(await repository.tags.get('pushed'), application)
})

t.test('closes on 257 wants that wait', async t => {
  const { port, repository, ended } = await start(t)
  const large = forge('file', Buffer.alloc(8_000_000, 1))
  {
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'whole',
    })
    const [link] = await session.objects.put([{ type: 'file', payload: large.payload }])
    await session.objects.publish(link === undefined ? [] : [link.digest])
  }
  await using stream = await openRawStream(port, '/?service=serve-objects')
  stream.socket.pause()
  const want = encodeWireItem({ kind: 'want', descriptor: large.descriptor })
  stream.socket.write(Buffer.concat(Array.from({ length: 300 }, () => want)))
  t.equal((await ended()).code, 'protocol_violation')
})

t.test('gives up on peers that are silent, drip, or take nothing', async t => {
  const { port, ended } = await start(t, {
    filled: true,
    idleTimeoutMs: 150,
    settleTimeoutMs: 150,
    minimumBytesPerSecond: 1000,
  })
  const skip = encodeWireItem({ kind: 'skip', descriptor: application })
  const drips = [
    [push, descriptorBytes],
    ['/?service=serve-objects', skip],
  ] as const
  for (const [target, bytes] of drips) {
    await using silent = await openRawStream(port, target)
    await silent.ended
    t.equal((await ended()).code, 'timed_out', 'silent')
    await using dripping = await openRawStream(port, target)
    let sent = 0
    const drip = setInterval(() => {
      dripping.socket.write(
        bytes.subarray(sent % bytes.length, (sent % bytes.length) + 1),
      )
      sent += 1
    }, 10)
    await dripping.ended
    clearInterval(drip)
    t.match(await ended(), { code: 'timed_out', error: /too slow/ })
  }
  await using idle = await openRawStream(port, '/?service=serve-objects')
  idle.socket.write(encodeWireItem({ kind: 'want', descriptor: application }))
  await idle.ended
  t.equal((await ended()).code, 'timed_out', 'never says done')
})

t.test('gives who pulls time to write what it has got, and nobody else', async t => {
  const { port, repository, ended } = await start(t, {
    idleTimeoutMs: 100,
    settleTimeoutMs: 30_000,
  })
  const large = forge('file', Buffer.alloc(16_000_000, 1))
  {
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'whole',
    })
    const [link] = await session.objects.put([{ type: 'file', payload: large.payload }])
    await session.objects.publish(link === undefined ? [] : [link.digest])
  }
  const want = encodeWireItem({ kind: 'want', descriptor: large.descriptor })
  await using busy = await openRawStream(port, '/?service=serve-objects')
  busy.socket.once('data', () => busy.socket.pause())
  busy.socket.write(want)
  await once(busy.socket, 'pause')
  // Two that began later, and have got nothing or only send, go before it.
  await using silent = await openRawStream(port, '/?service=serve-objects')
  await silent.ended
  t.match(await ended(), { code: 'timed_out', objects: undefined })
  await using pushing = await openRawStream(port, push)
  await pushing.ended
  t.match(await ended(), { code: 'timed_out' })
  busy.socket.resume()
  await busy.until(large.payload.length)
  busy.socket.end(encodeWireItem({ kind: 'done' }))
  await busy.ended
  t.match(await ended(), { objects: 1, bytes: large.payload.length, code: undefined })
})

t.test('closes on a peer that never stops sending', async t => {
  const { port, ended } = await start(t, { filled: true })
  for (const target of [push, '/?service=serve-objects']) {
    await using stream = await openRawStream(port, target)
    const flood = (): void => {
      while (!stream.socket.destroyed && stream.socket.write(Buffer.alloc(65_536)))
        continue
    }
    stream.socket.on('drain', flood)
    flood()
    await stream.ended
    t.type(await ended(), 'object')
  }
})

// So many that the list is longer than what the kernel takes from us for a peer.
const manyTags = 24_000

for (const [kind, request] of [
  ['plain', rawRequest('/?service=list-tags', { headers: ['X-None: 1'] })],
  ['upgrade', upgradeRequest('/?service=list-tags')],
] as const) {
  const name = `lets go of who takes no answer to a request (${kind})`
  t.test(name, { timeout: 110_000 }, async t => {
    const root = join(t.testdir(), 'repository')
    await makeGoldenRepository(root)
    const tags = join(root, 'refs/tags')
    const [tag = ''] = readdirSync(tags)
    for (let index = 0; index < manyTags; index++) {
      linkSync(join(tags, tag), join(tags, String(index).padStart(128, 'x')))
    }
    await using patient = createServer({ root })
    const { port } = await patient.listen()
    using taker = takeNothing(port, request)
    // The list is read in one go, so it is under way when this is answered.
    await sendRaw(port, rawRequest('/healthz'))
    t.notOk(taker.socket.destroyed)
    await patient.close({ graceMs: 50 })
    t.equal(patient.address, undefined)

    const log = new EventEmitter()
    const logger = (entry: LogEntry): void => void log.emit('entry', entry)
    await using hasty = createServer({ root, idleTimeoutMs: 500, logger })
    const { port: other } = await hasty.listen()
    using another = takeNothing(other, request)
    t.match(await once(log, 'entry'), [{ message: 'request', status: 200 }])
    t.notOk(another.socket.destroyed)
  })
}

function takeNothing(port: number, request: string): Disposable & { socket: Socket } {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  socket.pause()
  socket.write(request)
  return { socket, [Symbol.dispose]: () => void socket.destroy() }
}
