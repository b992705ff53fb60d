import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import {
  CorruptObjectError,
  InvalidObjectError,
  LimitExceededError,
} from '../../lib/errors.js'
import { ByteWriter } from '../../lib/object/byte-writer.js'
import type { Digest } from '../../lib/object/digest.js'
import { PeerConnection } from '../../lib/remote/peer-connection.js'
import {
  maxInFlight,
  type ReceiveOptions,
  receiveObjects,
} from '../../lib/remote/receive-objects.js'
import type { WireItem } from '../../lib/remote/wire-item.js'
import type { MemoryStore } from '../../lib/store/memory-store.js'
import { makeDuplexPair } from '../support/duplex-pair.js'
import {
  answerLate,
  directoryEntry,
  directoryWithName,
  type ForgedObject,
  fileEntry,
  forge,
  forgeApplication,
  forgeDirectory,
  forgeHeader,
  serveForged,
} from '../support/forged-peer.js'
import { beginSession, makeStore } from '../support/golden-store.js'

const header = forgeHeader()
const file = forge('file', Buffer.from('content'))

type ErrorClass =
  | typeof InvalidObjectError
  | typeof CorruptObjectError
  | typeof LimitExceededError

type Run = {
  readonly store?: MemoryStore
  readonly options?: Omit<ReceiveOptions, 'published'>
  /** What the peer serves, if not the objects as they are. */
  readonly served?: readonly ForgedObject[]
}

/** Receives `root` from a peer that serves the objects; gives what was asked. */
async function receive(
  root: ForgedObject,
  objects: readonly ForgedObject[],
  { store, options = {}, served }: Run = {},
): Promise<{ store: MemoryStore; items: WireItem[] }> {
  const into = store ?? (await makeStore([]))
  const [ours, theirs] = makeDuplexPair()
  const serving = serveForged(theirs, served ?? [root, ...objects])
  await using session = await beginSession(into)
  await using peer = new PeerConnection(ours)
  const failed = serving.catch((error: unknown) => error)
  await receiveObjects(peer, root.descriptor, session, { ...options, published: into })
  const items = await serving
  await failed
  return { store: into, items }
}

/** Expects a refusal, and that nothing of the session stays. */
async function refuses(
  t: Test,
  root: ForgedObject,
  objects: readonly ForgedObject[],
  expected: { type: ErrorClass; message: RegExp },
  run: Run = {},
): Promise<void> {
  const store = run.store ?? (await makeStore([]))
  const before = await count(store)
  const receiving = receive(root, objects, { ...run, store })
  await t.rejects(receiving, expected.type)
  await t.rejects(receiving, { message: expected.message })
  t.equal(await count(store), before, 'nothing stays')
}

async function count(store: MemoryStore): Promise<number> {
  let found = 0
  for await (const batch of store.list()) found += batch.length
  return found
}

function treeOf(root: ForgedObject, below: readonly ForgedObject[]) {
  return {
    application: forgeApplication(header, root),
    objects: [root, header, ...below],
  }
}

t.test('refuses bytes whose digest is another', async t => {
  const root = forgeDirectory([fileEntry('f', header, file)])
  const { application, objects } = treeOf(root, [file])
  for (const victim of [application, root, header, file]) {
    const wrong = Buffer.from(victim.payload)
    wrong[0] = (wrong[0] ?? 0) ^ 1
    await refuses(
      t,
      application,
      [],
      { type: CorruptObjectError, message: new RegExp(victim.descriptor.digest) },
      { served: [application, ...objects, { ...victim, payload: wrong }] },
    )
  }
})

t.test('refuses a large file whose last byte is wrong', async t => {
  const large = forge('file', Buffer.alloc(3_000_000, 7))
  const { application, objects } = treeOf(
    forgeDirectory([fileEntry('f', header, large)]),
    [large],
  )
  const wrong = Buffer.from(large.payload)
  wrong[wrong.length - 1] = 8
  await refuses(
    t,
    application,
    [],
    { type: CorruptObjectError, message: new RegExp(large.descriptor.digest) },
    { served: [application, ...objects, { ...large, payload: wrong }] },
  )
})

t.test('refuses directories with impossible names, and says which object', async t => {
  const names = ['..', '.', '', 'a/b', 'a\0b', '/etc', 'x'.repeat(256)]
  for (const name of names) {
    const payload = directoryWithName(Buffer.from(name), header, file)
    const root = forge('directory', payload, { subObjectCount: 2, subObjectsSize: 25n })
    const { application, objects } = treeOf(root, [file])
    await refuses(t, application, objects, {
      type: InvalidObjectError,
      message: new RegExp(`directory ${root.descriptor.digest}`),
    })
  }
})

t.test('refuses unsorted and repeated names, and trailing bytes', async t => {
  const one = directoryWithName(Buffer.from('b'), header, file).subarray(4)
  const other = directoryWithName(Buffer.from('a'), header, file).subarray(4)
  const two = Buffer.from([2, 0, 0, 0])
  const payloads = [
    Buffer.concat([two, one, other]),
    Buffer.concat([two, one, one]),
    Buffer.concat([two, other, one, Buffer.of(0)]),
  ]
  for (const payload of payloads) {
    const root = forge('directory', payload, { subObjectCount: 4, subObjectsSize: 50n })
    const { application, objects } = treeOf(root, [file])
    await refuses(t, application, objects, {
      type: InvalidObjectError,
      message: new RegExp(root.descriptor.digest),
    })
  }
})

t.test('refuses headers and applications that are none', async t => {
  const noHeader = forge('header', Buffer.from('not a header at all'))
  const root = forgeDirectory([])
  await refuses(t, forgeApplication(noHeader, root), [noHeader, root], {
    type: InvalidObjectError,
    message: new RegExp(`header ${noHeader.descriptor.digest}`),
  })
  const noApplication = forge('application', Buffer.from('nothing'))
  await refuses(t, noApplication, [], {
    type: InvalidObjectError,
    message: new RegExp(`application ${noApplication.descriptor.digest}`),
  })
})

t.test('refuses an entry count that lies', async t => {
  for (const entries of [1, 1000, 0xffff_ffff]) {
    const payload = new ByteWriter().u32(entries, 'count').finish()
    const root = forge('directory', payload)
    await refuses(t, forgeApplication(header, root), [header, root], {
      type: InvalidObjectError,
      message: /entries take at least/,
    })
  }
})

t.test('refuses totals that lie', async t => {
  for (const lies of [{ subObjectCount: 3 }, { subObjectsSize: 26n }]) {
    const root = forgeDirectory([fileEntry('f', header, file)], lies)
    await refuses(t, forgeApplication(header, root), [header, root, file], {
      type: InvalidObjectError,
      message: /wrong totals/,
    })
  }
  const root = forgeDirectory([fileEntry('f', header, file)])
  const application = forgeApplication(header, root, { subObjectCount: 1 })
  await refuses(t, application, [header, root, file], {
    type: InvalidObjectError,
    message: /wrong totals/,
  })
})

t.test('refuses totals that lie about a directory that is here already', async t => {
  const below = forgeDirectory([fileEntry('f', header, file)])
  const liar = forgeDirectory([
    directoryEntry('d', header, {
      ...below,
      descriptor: { ...below.descriptor, subObjectCount: 1 },
    }),
  ])
  const store = await makeStore([
    { type: 'header', payload: header.payload },
    { type: 'file', payload: file.payload },
    { type: 'directory', payload: below.payload },
  ])
  await refuses(
    t,
    forgeApplication(header, liar),
    [liar],
    { type: InvalidObjectError, message: new RegExp(below.descriptor.digest) },
    { store },
  )
})

t.test('refuses two references to one object that contradict each other', async t => {
  const liar: ForgedObject = {
    ...file,
    descriptor: { ...file.descriptor, size: file.descriptor.size + 1 },
  }
  const root = forgeDirectory([
    fileEntry('a', header, file),
    fileEntry('b', header, liar),
  ])
  const { application, objects } = treeOf(root, [file])
  await refuses(t, application, objects, {
    type: InvalidObjectError,
    message: /contradict/,
  })
})

t.test('refuses a reference to another algorithm', async t => {
  const foreign = forge('file', Buffer.from('content'), { algorithm: 'sha256' })
  const root = forgeDirectory([fileEntry('f', header, foreign)])
  const { application, objects } = treeOf(root, [foreign])
  await refuses(t, application, objects, {
    type: InvalidObjectError,
    message: /another algorithm/,
  })
})

t.test('receives a tree of each algorithm under its own digests', async t => {
  for (const algorithm of ['sha224', 'sha256', 'sha3-512', 'blake3'] as const) {
    const ownHeader = forgeHeader({ algorithm })
    const ownFile = forge('file', Buffer.from('content'), { algorithm })
    const root = forgeDirectory([fileEntry('f', ownHeader, ownFile)], { algorithm })
    const application = forgeApplication(ownHeader, root, { algorithm })
    const objects = [ownHeader, ownFile, root]
    const { store } = await receive(application, objects)
    t.equal(await count(store), 4)
    const found = await store.has([application, ...objects].map(digestOf))
    t.equal(found.count(), 4)
  }
})

t.test('refuses sizes above the limits before it asks', async t => {
  const huge = 2 ** 53 - 1
  const lies = [
    forge('header', Buffer.alloc(0), { size: huge }),
    forge('header', Buffer.alloc(0), { size: 64 * 1024 * 1024 + 1 }),
  ]
  for (const liar of lies) {
    const root = forgeDirectory([])
    await refuses(t, forgeApplication(liar, root), [root, liar], {
      type: LimitExceededError,
      message: new RegExp(`header ${liar.descriptor.digest} is too large`),
    })
  }
  const { application, objects } = treeOf(
    forgeDirectory([fileEntry('f', header, file)]),
    [file],
  )
  const limits = [
    { fileBytes: file.payload.length - 1 },
    { objects: 3 },
    { totalBytes: 100 },
    { pendingObjects: 2 },
  ]
  for (const limit of limits) {
    await refuses(
      t,
      application,
      objects,
      { type: LimitExceededError, message: /expected at most/ },
      { options: { limits: limit } },
    )
  }
})

t.test('says how much came of what when the peer closes', async t => {
  const root = forgeDirectory([fileEntry('f', header, file)])
  const { application, objects } = treeOf(root, [])
  const store = await makeStore([])
  const [ours, theirs] = makeDuplexPair()
  theirs.resume()
  theirs.end(Buffer.concat([application.payload, root.payload.subarray(0, 20)]))
  t.equal(objects.length, 2)
  await using session = await beginSession(store)
  await using peer = new PeerConnection(ours)
  await t.rejects(
    receiveObjects(peer, application.descriptor, session, { published: store }),
    {
      code: 'connection_lost',
      message: `connection closed after 20 of ${root.payload.length} bytes of directory ${root.descriptor.digest}`,
    },
  )
})

t.test('asks once for an object that is reached again while it is held', async t => {
  // `shared` is held, waiting for `deep`, when `second` names it again.
  const deep = forgeDirectory([fileEntry('f', header, file)])
  const shared = forgeDirectory([directoryEntry('deep', header, deep)])
  const second = forgeDirectory([directoryEntry('again', header, shared)])
  const root = forgeDirectory([
    directoryEntry('a', header, second),
    directoryEntry('b', header, shared),
  ])
  const { application, objects } = treeOf(root, [second, shared, deep, file])
  const { items, store } = await receive(application, objects)
  const wants = items.flatMap(item => (item.kind === 'want' ? [digestOf(item)] : []))
  t.equal(new Set(wants).size, wants.length, 'no digest is wanted twice')
  t.equal(await count(store), 7)
})

t.test('never has more than 256 objects in flight', async t => {
  const files = Array.from({ length: 700 }, (_, index) =>
    forge('file', Buffer.from(`content ${index}`)),
  )
  const root = forgeDirectory(
    files.map((each, index) =>
      fileEntry(`f${String(index).padStart(4, '0')}`, header, each),
    ),
  )
  const application = forgeApplication(header, root)
  const table = new Map(
    [application, root, header, ...files].map(object => [
      object.descriptor.digest,
      object.payload,
    ]),
  )
  const store = await makeStore([])
  const [ours, theirs] = makeDuplexPair()
  await using session = await beginSession(store)
  await using peer = new PeerConnection(ours)
  const receiving = receiveObjects(peer, application.descriptor, session, {
    published: store,
  })
  const most = await answerLate(theirs, table)
  await receiving
  t.equal(most, maxInFlight)
})

t.test('receives a small tree that names 2^29 paths', async t => {
  const chain = [forgeDirectory([fileEntry('f', header, file)])]
  for (let level = 1; level < 29; level++) {
    const below = chain[level - 1]
    if (below === undefined) break
    chain.push(
      forgeDirectory([
        directoryEntry('a', header, below),
        directoryEntry('b', header, below),
      ]),
    )
  }
  const root = chain.at(-1)
  if (root === undefined) return
  const { application, objects } = treeOf(root, [...chain, file])
  const { store, items } = await receive(application, objects)
  t.equal(await count(store), 32)
  t.equal(items.filter(({ kind }) => kind === 'want').length, 32)
})

t.test('refuses a tree whose totals are beyond their fields', async t => {
  const chain = [forgeDirectory([fileEntry('f', header, file)])]
  for (let level = 1; level < 34; level++) {
    const below = chain[level - 1]
    if (below === undefined) break
    const entries = [
      directoryEntry('a', header, below),
      directoryEntry('b', header, below),
    ]
    const { subObjectCount, subObjectsSize } = below.descriptor
    const wrapped = {
      subObjectCount: (2 * (2 + subObjectCount)) % 2 ** 32,
      subObjectsSize: 2n * (18n + BigInt(below.descriptor.size) + subObjectsSize),
    }
    chain.push(forgeDirectory(entries, wrapped))
  }
  const root = chain.at(-1)
  if (root === undefined) return
  const { application, objects } = treeOf(root, [...chain, file])
  await refuses(t, application, objects, {
    type: InvalidObjectError,
    message: /refused/,
  })
})

t.test('receives 100,000 levels of nesting', async t => {
  const url = new URL('../support/deep-tree-worker.js', import.meta.url)
  t.same(await once(new Worker(url, { execArgv: [] }), 'message'), [100_002])
})

t.test('ends when the signal aborts', async t => {
  const { application } = treeOf(forgeDirectory([]), [])
  const store = await makeStore([])
  const [ours] = makeDuplexPair()
  const controller = new AbortController()
  await using session = await beginSession(store)
  await using peer = new PeerConnection(ours, { signal: controller.signal })
  const receiving = receiveObjects(peer, application.descriptor, session, {
    published: store,
  })
  const reason = new Error('enough')
  controller.abort(reason)
  await t.rejects(receiving, reason)
})

function digestOf({ descriptor }: { descriptor: { digest: Digest } }): Digest {
  return descriptor.digest
}
