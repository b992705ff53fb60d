import { join } from 'node:path'
import t from 'tap'
import { ConnectionLostError, RemoteRefusedError } from '../../lib/errors.js'
import { encodeDescriptor } from '../../lib/object/descriptor.js'
import { parseTagName } from '../../lib/object/tag-name.js'
import { ProgressMeter } from '../../lib/remote/progress-meter.js'
import { pull } from '../../lib/remote/pull.js'
import { push } from '../../lib/remote/push.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import { encodeWireItem } from '../../lib/remote/wire-item.js'
import { makeGoldenRepository, makeRepositoryWith } from '../support/golden-repository.js'
import { goldenObjects, makeStore } from '../support/golden-store.js'
import {
  bytesFrom,
  loadTranscript,
  type TranscriptEvent,
} from '../support/golden-transcript.js'
import { loadGoldenTree } from '../support/golden-tree.js'
import { splitHead, startScriptedServer } from '../support/replay-socket.js'

// Our client against recorded servers. What differs from the original, and is not
// compared: header fields of HTTP; and our push asks for the tag afterwards.

const { application, tagName } = loadGoldenTree()
const [getTagConnection = [], serveConnection = []] =
  loadTranscript('fetch-empty').connections
const pushed = parseTagName('pushed')

function lastConnection(name: Parameters<typeof loadTranscript>[0]) {
  return loadTranscript(name).connections.at(-1) ?? []
}

function recordedBody(events: readonly TranscriptEvent[]): Buffer {
  return splitHead(bytesFrom(events, 'client')).body
}

t.test('fetches as in fetch-empty, byte for byte', async t => {
  await using server = await startScriptedServer([getTagConnection, serveConnection])
  await using remote = new RemoteObjectStore(server.url, { protocol: 'version1' })
  const repository = await makeRepositoryWith(join(t.testdir(), 'repository'))
  const progress = new ProgressMeter()
  const result = await pull(remote, repository, { tag: tagName, progress })
  t.match(result, { tag: tagName, upToDate: false, objects: 35 })
  const [asked, transferred] = await Promise.all(server.received)
  t.match(asked?.head, /^GET \/\?service=get-tag&tag=ordinary HTTP\/1\.1\r\n/)
  t.match(transferred?.head, /^POST \/\?service=serve-objects HTTP\/1\.1\r\n/)
  t.match(transferred?.head, /\r\ncontent-length: 0\r\n/i)
  t.match(transferred?.head, /\r\nconnection: upgrade\r\nupgrade: tcp\r\n/i)
  t.same(transferred?.body, recordedBody(serveConnection))
  t.same(await repository.tags.get(tagName), application)
  const { objects, bytes } = progress.snapshot()
  t.same(objects, { transferred: 35, skipped: 31, total: 66 })
  t.equal(bytes.transferred + bytes.skipped, bytes.total)
})

t.test('only asks for the tag when all is there, as in fetch-uptodate', async t => {
  await using server = await startScriptedServer([lastConnection('fetch-uptodate')])
  await using remote = new RemoteObjectStore(server.url, { protocol: 'version1' })
  const repository = await makeGoldenRepository(join(t.testdir(), 'repository'))
  const result = await pull(remote, repository, { tag: tagName, as: 'copy' })
  t.match(result, { tag: 'copy', upToDate: true, objects: 0, bytes: 0 })
  t.same(await repository.tags.get('copy'), application)
})

for (const name of ['push-empty', 'push-some'] as const) {
  t.test(`pushes as in ${name}, byte for byte`, async t => {
    const connection = lastConnection(name)
    await using server = await startScriptedServer([connection, getTagConnection])
    await using remote = new RemoteObjectStore(server.url, { protocol: 'version1' })
    const repository = await makeGoldenRepository(join(t.testdir(), 'repository'))
    await push(remote, repository, { ref: tagName, as: 'pushed' })
    const [transferred, confirmed] = await Promise.all(server.received)
    t.match(transferred?.head, /^POST \/\?service=receive-objects&tag=pushed HTTP/)
    t.same(transferred?.body, recordedBody(connection))
    t.match(confirmed?.head, /^GET \/\?service=get-tag&tag=pushed HTTP/)
  })
}

t.test(
  'takes the silent end of push-present for success if the tag is right',
  async t => {
    const connection = lastConnection('push-present')
    await using server = await startScriptedServer([connection, getTagConnection])
    await using remote = new RemoteObjectStore(server.url, { protocol: 'version1' })
    const store = await makeStore(goldenObjects())
    const result = await remote.push(application, store, { tag: pushed })
    t.same(result, { objects: 0, bytes: 0 })
  },
)

t.test('says that the tag is not set after push-present without the tag', async t => {
  const connection = lastConnection('push-present')
  const absent = lastConnection('get-tag-absent')
  await using server = await startScriptedServer([connection, absent])
  await using remote = new RemoteObjectStore(server.url, { protocol: 'version1' })
  const store = await makeStore(goldenObjects())
  const pushing = remote.push(application, store, { tag: pushed })
  await t.rejects(pushing, RemoteRefusedError)
  await t.rejects(pushing, {
    message: /already there, tag "pushed" not set by this server/,
  })
})

t.test(
  'takes a skip of the root and a close for presence when no tag is asked',
  async t => {
    const connection = lastConnection('push-present')
    const skip = encodeWireItem({ kind: 'skip', descriptor: application })
    const skipped = connection.flatMap((event): TranscriptEvent[] =>
      event.kind === 'end' && event.from === 'server'
        ? [{ kind: 'data', from: 'server', bytes: skip }, event]
        : [event],
    )
    const store = await makeStore(goldenObjects())
    await using server = await startScriptedServer([skipped, connection])
    await using remote = new RemoteObjectStore(server.url, { protocol: 'version1' })
    t.same(await remote.push(application, store), { objects: 0, bytes: 0 })
    await t.rejects(remote.push(application, store), ConnectionLostError)
  },
)

t.test('waits for a tag that the server sets late', async t => {
  const absent = lastConnection('get-tag-absent')
  const connection = lastConnection('push-empty')
  await using server = await startScriptedServer([
    connection,
    absent,
    absent,
    getTagConnection,
  ])
  await using remote = new RemoteObjectStore(server.url, { protocol: 'version1' })
  await remote.push(application, await makeStore(goldenObjects()), { tag: pushed })
  t.equal(server.received.length, 4)
})

t.test(
  'pushes again, once, when the stream ends broken after all was served',
  async t => {
    const connection = lastConnection('push-empty')
    const garbage = Buffer.from('07ffff', 'hex')
    const broken = connection.map((event): TranscriptEvent => {
      const isDone =
        event.kind === 'data' &&
        event.from === 'server' &&
        event.bytes.equals(Buffer.of(0))
      return isDone ? { ...event, bytes: garbage } : event
    })
    const store = await makeStore(goldenObjects())
    const present = lastConnection('push-present')
    await using server = await startScriptedServer([broken, present, getTagConnection])
    await using remote = new RemoteObjectStore(server.url, { protocol: 'version1' })
    await remote.push(application, store, { tag: pushed })
    t.equal(server.received.length, 3)
    await using other = await startScriptedServer([
      broken,
      broken,
      lastConnection('get-tag-absent'),
    ])
    await using unlucky = new RemoteObjectStore(other.url, { protocol: 'version1' })
    await t.rejects(unlucky.push(application, store, { tag: pushed }), {
      code: 'protocol_violation',
    })
    t.equal(other.received.length, 3)
  },
)

t.test('reads tags as in the recordings', async t => {
  await using server = await startScriptedServer([
    lastConnection('get-tag-present'),
    lastConnection('get-tag-absent'),
    lastConnection('list-tags'),
    lastConnection('get-tag-absent'),
  ])
  await using remote = new RemoteObjectStore(server.url, { protocol: 'version1' })
  t.same(await remote.getTag(tagName), application)
  t.equal(await remote.findTag('nosuch'), undefined)
  const tags = await remote.listTags()
  t.same(
    tags.map(({ name }) => name),
    ['ordinary', 'v1.0-beta_2'],
  )
  t.same(encodeDescriptor(tags[0]?.descriptor ?? application), loadGoldenTree().tagFile)
  await t.rejects(remote.getTag('nosuch'), { code: 'tag_not_found' })
})
