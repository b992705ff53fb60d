import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import t from 'tap'
import { type Descriptor, encodeDescriptor } from '../../lib/object/descriptor.js'
import { PeerConnection } from '../../lib/remote/peer-connection.js'
import { ProgressMeter } from '../../lib/remote/progress-meter.js'
import { maxOutstanding, sendObjects } from '../../lib/remote/send-objects.js'
import type { Served } from '../../lib/remote/served-objects.js'
import { encodeWireItem } from '../../lib/remote/wire-item.js'
import type { ObjectReader } from '../../lib/store/object-store.js'
import { makeDuplexPair } from '../support/duplex-pair.js'
import { forge } from '../support/forged-peer.js'
import { goldenObjects, makeStore } from '../support/golden-store.js'
import { loadGoldenTree } from '../support/golden-tree.js'

const { application } = loadGoldenTree()
const golden = await makeStore(goldenObjects())
const descriptors: readonly Descriptor[] = goldenObjects().map(
  ({ type, payload, digest }) => ({
    digest,
    type,
    size: payload.length,
    subObjectCount: 0,
    subObjectsSize: 0n,
  }),
)
const done = encodeWireItem({ kind: 'done' })
const published: Served = { kind: 'published' }
const closure: Served = { kind: 'closure', root: application }

function want(descriptor: Descriptor): Buffer {
  return encodeWireItem({ kind: 'want', descriptor })
}

function find(type: Descriptor['type']): Descriptor {
  const found = descriptors.find(descriptor => descriptor.type === type)
  if (found === undefined) throw new Error(`no ${type} is recorded`)
  return found
}

function start(
  served: Served,
  reader: ObjectReader = golden,
): { theirs: Duplex; sending: ReturnType<typeof sendObjects>; peer: PeerConnection } {
  const [ours, theirs] = makeDuplexPair()
  const peer = new PeerConnection(ours)
  t.teardown(() => peer[Symbol.asyncDispose]())
  const sending = sendObjects(peer, reader, { served })
  // A test may look at it later.
  sending.catch(() => undefined)
  return { theirs, sending, peer }
}

async function collect(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

t.test('serves any published object in any order, and repeats', async t => {
  const { theirs, sending } = start(published)
  const wants = [...descriptors.toReversed(), ...descriptors.slice(0, 3)]
  theirs.end(Buffer.concat([...wants.map(want), done]))
  const sent = await collect(theirs)
  const payloads = await golden.read(wants.map(({ digest }) => digest))
  t.same(sent, Buffer.concat(payloads.map(({ payload }) => payload)))
  t.match(await sending, { kind: 'done', objects: wants.length, bytes: sent.length })
})

t.test('serves only the closure of what is pushed, as far as it was served', async t => {
  const { theirs, sending, peer } = start(closure)
  theirs.write(want(find('file')))
  await t.rejects(sending, { code: 'object_not_found' })
  await peer[Symbol.asyncDispose]()
  t.equal((await collect(theirs)).length, 0)

  const foreign = forge('file', Buffer.from('secret'))
  const store = await makeStore([
    ...goldenObjects(),
    { type: 'file', payload: foreign.payload },
  ])
  const other = start(closure, store)
  other.theirs.resume()
  other.theirs.write(Buffer.concat([want(application), want(foreign.descriptor)]))
  await t.rejects(other.sending, { code: 'object_not_found' })
})

t.test('refuses a want whose type or size is not the object’s', async t => {
  const file = find('file')
  const lies: readonly Partial<Descriptor>[] = [
    { size: file.size + 1 },
    { size: 2 ** 53 - 1 },
    { size: Math.max(0, file.size - 1), digest: find('header').digest, type: 'header' },
    { type: 'header' },
    { type: 'directory' },
  ]
  for (const lie of lies) {
    const { theirs, sending } = start(published)
    theirs.resume()
    theirs.write(want({ ...file, ...lie }))
    await t.rejects(sending, { code: 'protocol_violation', message: /asked wrongly/ })
  }
})

t.test('refuses an absent object', async t => {
  const { theirs, sending } = start(published)
  theirs.resume()
  theirs.write(want(forge('file', Buffer.from('absent')).descriptor))
  await t.rejects(sending, { code: 'object_not_found' })
})

t.test('refuses the 257th outstanding want', async t => {
  // Nobody reads: the first payload can never be written completely.
  const large = forge('file', randomBytes(4_000_000))
  const store = await makeStore([{ type: 'file', payload: large.payload }])
  const items = Buffer.concat(Array.from({ length: 300 }, () => want(large.descriptor)))
  const { theirs, sending } = start(published, store)
  theirs.write(items)
  await t.rejects(sending, {
    code: 'protocol_violation',
    message: `too many wants: expected at most ${maxOutstanding} outstanding, found one more`,
  })
})

t.test('takes 256 outstanding wants and any number of skips', async t => {
  const small = forge('file', randomBytes(20_000))
  const store = await makeStore([{ type: 'file', payload: small.payload }])
  const { theirs, sending } = start(published, store)
  const skip = encodeWireItem({ kind: 'skip', descriptor: small.descriptor })
  const wants = Array.from({ length: 256 }, () => want(small.descriptor))
  theirs.write(Buffer.concat([...wants, ...Array.from({ length: 5000 }, () => skip)]))
  theirs.end(done)
  t.equal((await collect(theirs)).length, 256 * 20_000)
  t.match(await sending, { kind: 'done', objects: 256 })
})

t.test('goes on reading while it cannot write', async t => {
  const large = forge('file', randomBytes(3_000_000))
  const store = await makeStore([{ type: 'file', payload: large.payload }])
  const { theirs, sending } = start(published, store)
  const skip = encodeWireItem({ kind: 'skip', descriptor: large.descriptor })
  const skips = Buffer.concat(Array.from({ length: 40_000 }, () => skip))
  // The peer writes more than any buffer holds before it reads its first byte.
  await new Promise(resolve => {
    theirs.write(Buffer.concat([want(large.descriptor), skips]), resolve)
  })
  theirs.end(done)
  t.equal((await collect(theirs)).length, 3_000_000)
  t.match(await sending, { kind: 'done', objects: 1 })
})

t.test('refuses items that are none, digests of bad length and lying sizes', async t => {
  const descriptor = encodeDescriptor(application)
  const negative = Buffer.from(descriptor)
  negative.fill(0xff, 35, 43)
  const unknownId = Buffer.from(descriptor)
  unknownId[2] = 0x0b
  const badType = Buffer.from(descriptor)
  badType[43] = 4
  const bad = [
    Buffer.of(3),
    Buffer.of(255),
    Buffer.from('010000', 'hex'),
    Buffer.from('01010005', 'hex'),
    Buffer.from('01020005aa', 'hex'),
    Buffer.from('01ffff', 'hex'),
    Buffer.concat([Buffer.of(1), negative]),
    Buffer.concat([Buffer.of(2), negative]),
    Buffer.concat([Buffer.of(1), unknownId]),
    Buffer.concat([Buffer.of(1), badType]),
  ]
  for (const bytes of bad) {
    const { theirs, sending } = start(published)
    theirs.resume()
    theirs.write(bytes)
    t.match(await sending, {
      kind: 'broken-end',
      objects: 0,
      cause: { code: 'protocol_violation' },
    })
  }
})

t.test('survives garbage and a missing done once all wants are served', async t => {
  for (const bytes of [Buffer.from('07ffff', 'hex'), Buffer.from('0121', 'hex')]) {
    const { theirs, sending } = start(published)
    theirs.write(want(application))
    await new Promise(resolve => {
      theirs.once('data', resolve)
    })
    theirs.end(bytes)
    t.match(await sending, { kind: 'broken-end', objects: 1 })
  }
})

t.test('says how many wants are unserved when the peer closes', async t => {
  const large = forge('file', randomBytes(4_000_000))
  const store = await makeStore([{ type: 'file', payload: large.payload }])
  const { theirs, sending } = start(published, store)
  theirs.end(Buffer.concat([want(large.descriptor), want(large.descriptor)]))
  await t.rejects(sending, {
    code: 'connection_lost',
    message: 'the peer closed before it was done, with 2 wants unserved',
  })
})

t.test('notes that the peer has the root, and counts what it has', async t => {
  const [ours, theirs] = makeDuplexPair()
  const progress = new ProgressMeter()
  theirs.end(
    Buffer.concat([encodeWireItem({ kind: 'skip', descriptor: application }), done]),
  )
  theirs.resume()
  const result = await sendObjects(new PeerConnection(ours), golden, {
    served: closure,
    progress,
  })
  t.match(result, { kind: 'done', objects: 0, rootSkipped: true })
  t.same(progress.snapshot().objects, { transferred: 0, skipped: 66, total: 66 })
})
