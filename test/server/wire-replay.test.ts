import { join } from 'node:path'
import t, { type Test } from 'tap'
import { encodeWireItem } from '../../lib/remote/wire-item.js'
import { createServer } from '../../server/cairn-server.js'
import {
  layouts,
  makeGoldenRepository,
  makeRepositoryWith,
} from '../support/golden-repository.js'
import { goldenObjects, goldenParts } from '../support/golden-store.js'
import {
  bytesFrom,
  loadTranscript,
  type transcriptNames,
} from '../support/golden-transcript.js'
import { loadGoldenTree } from '../support/golden-tree.js'
import { playClient, type Received, splitHead } from '../support/replay-socket.js'

// Recorded clients against our server. What differs from the original, and is not
// compared: header fields of HTTP other than those of an upgrade, the order of a tag list
// (ours is sorted), and the answer to a push of an application that is there.

const { application, tagName } = loadGoldenTree()
const upgradeReply = splitHead(
  bytesFrom(loadTranscript('push-empty').connections[0] ?? [], 'server'),
).head

type Name = (typeof transcriptNames)[number]

/** Replays the last connection of a recording; gives our answer and the recorded one. */
async function replay(
  t: Test,
  name: Name,
  root: string,
): Promise<{ ours: Received; theirs: Received }> {
  await using server = createServer({ root })
  const { port } = await server.listen()
  const events = loadTranscript(name).connections.at(-1) ?? []
  const ours = await playClient(port, events)
  return { ours, theirs: splitHead(bytesFrom(events, 'server')) }
}

t.test('the upgrade reply of the recordings is 109 bytes', async t => {
  t.equal(upgradeReply.length, 109)
})

for (const layout of layouts) {
  t.test(`serves fetch-empty byte for byte from the ${layout} layout`, async t => {
    const root = join(t.testdir(), 'repository')
    await makeGoldenRepository(root, layout)
    const { ours, theirs } = await replay(t, 'fetch-empty', root)
    t.same(ours, theirs)
  })
}

for (const name of ['push-empty', 'push-some'] as const) {
  t.test(`receives ${name} byte for byte, and tags it, in every layout`, async t => {
    for (const layout of layouts) {
      const root = join(t.testdir({ [layout]: {} }), layout, 'repository')
      const parts = name === 'push-some' ? goldenParts() : []
      const repository = await makeRepositoryWith(root, parts, layout)
      const { ours, theirs } = await replay(t, name, root)
      t.same(ours, theirs)
      t.same(await repository.tags.get('pushed'), application)
      const all = goldenObjects()
      const present = await repository.objects.has(all.map(({ digest }) => digest))
      t.equal(present.count(), all.length)
    }
  })
}

t.test('answers push-present with skip and done, and tags it', async t => {
  const root = join(t.testdir(), 'repository')
  const repository = await makeGoldenRepository(root)
  const { ours } = await replay(t, 'push-present', root)
  t.equal(ours.head, upgradeReply)
  t.same(
    ours.body,
    Buffer.concat([
      encodeWireItem({ kind: 'skip', descriptor: application }),
      encodeWireItem({ kind: 'done' }),
    ]),
  )
  t.same(await repository.tags.get('pushed'), application)
})

for (const name of ['get-tag-present', 'get-tag-absent', 'unknown-service'] as const) {
  t.test(`answers ${name} with the recorded status and body`, async t => {
    const root = join(t.testdir(), 'repository')
    await makeGoldenRepository(root)
    const { ours, theirs } = await replay(t, name, root)
    t.equal(ours.head.split('\r\n')[0], theirs.head.split('\r\n')[0])
    t.same(ours.body, theirs.body)
    t.match(ours.head, new RegExp(`content-length: ${theirs.body.length}\r\n`, 'i'))
  })
}

t.test('answers list-tags with sorted tags', async t => {
  const root = join(t.testdir(), 'repository')
  const repository = await makeGoldenRepository(root)
  await repository.tags.set('v1.0-beta_2', application)
  const { ours, theirs } = await replay(t, 'list-tags', root)
  t.equal(ours.body.length, theirs.body.length)
  t.ok(ours.body.indexOf(tagName) < ours.body.indexOf('v1.0-beta_2'))
})
