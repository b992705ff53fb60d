import type { Duplex } from 'node:stream'
import t from 'tap'
import { encodeDescriptor } from '../../lib/object/descriptor.js'
import { PeerConnection } from '../../lib/remote/peer-connection.js'
import { receiveObjects } from '../../lib/remote/receive-objects.js'
import { sendObjects } from '../../lib/remote/send-objects.js'
import { makeDuplexPair } from '../support/duplex-pair.js'
import {
  beginSession,
  goldenObjects,
  goldenParts,
  makeStore,
} from '../support/golden-store.js'
import { bytesFrom, loadTranscript } from '../support/golden-transcript.js'
import { loadGoldenTree } from '../support/golden-tree.js'

const { application } = loadGoldenTree()
const descriptorBytes = encodeDescriptor(application)

/** Both byte streams of a recorded session, without HTTP and the pushed descriptor. */
function recordedSession(name: 'fetch-empty' | 'push-empty' | 'push-some') {
  const [connection] = loadTranscript(name).connections.slice(-1)
  const client = afterHead(bytesFrom(connection ?? [], 'client'))
  const server = afterHead(bytesFrom(connection ?? [], 'server'))
  if (name === 'fetch-empty') return { items: client, objects: server }
  t.same(client.subarray(0, 56), descriptorBytes)
  return { items: server, objects: client.subarray(56) }
}

function afterHead(bytes: Buffer): Buffer {
  return bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)
}

async function collect(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const recordings = [
  { name: 'fetch-empty', present: [] },
  { name: 'push-empty', present: [] },
  { name: 'push-some', present: goldenParts() },
] as const

for (const { name, present } of recordings) {
  const { items, objects } = recordedSession(name)

  t.test(`the receiver asks as in ${name}, byte for byte`, async t => {
    const store = await makeStore(present)
    const [ours, theirs] = makeDuplexPair()
    const asked = collect(theirs)
    theirs.end(objects)
    await using session = await beginSession(store)
    await using peer = new PeerConnection(ours)
    await receiveObjects(peer, application, session, { published: store })
    t.same(await asked, items)
    const all = goldenObjects()
    t.equal((await store.has(all.map(({ digest }) => digest))).count(), all.length)
  })

  t.test(`the sender answers as in ${name}, byte for byte`, async t => {
    const store = await makeStore(goldenObjects())
    const [ours, theirs] = makeDuplexPair()
    const sent = collect(theirs)
    theirs.write(items.subarray(0, 57))
    await using peer = new PeerConnection(ours)
    const sending = sendObjects(peer, store, { served: { kind: 'published' } })
    theirs.end(items.subarray(57))
    const result = await sending
    t.equal(result.kind, 'done')
    t.same(await sent, objects)
  })
}
