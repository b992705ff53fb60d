import t from 'tap'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { KnownObjects } from '../../lib/remote/known-objects.js'
import {
  type ForgedObject,
  fileEntry,
  forge,
  forgeDirectory,
  forgeHeader,
} from '../support/forged-peer.js'
import { beginSession, makeStore } from '../support/golden-store.js'

const header = forgeHeader()
const maxReceived = 1000

function newObject({ descriptor: { type }, payload }: ForgedObject) {
  return { type, payload }
}

/** Descriptors of directories that nobody has. */
function manyDirectories(count: number): Descriptor[] {
  return Array.from({ length: count }, (_, index) => {
    const payload = Buffer.alloc(8)
    payload.writeUInt32LE(index)
    return forge('directory', payload, { subObjectCount: 1, subObjectsSize: 1n })
      .descriptor
  })
}

t.test('remembers a bounded number of what it received', async t => {
  const store = await makeStore([])
  await using session = await beginSession(store)
  const directory = forgeDirectory([])
  await session.put([newObject(directory)])
  const known = new KnownObjects(session, store, { maxReceived })
  known.addReceived(directory.descriptor)
  known.flushed()
  const before = known.bytes
  const others = manyDirectories(maxReceived + 100)
  for (const other of others) known.addReceived(other)
  known.flushed()
  const most = known.bytes
  t.equal(most, before * maxReceived)
  for (const other of others.slice(0, 100)) known.addReceived(other)
  known.flushed()
  t.equal(known.bytes, most)
  // Its totals are forgotten, and nothing published tells them.
  await known.look([directory.descriptor])
  t.notOk(known.has(directory.descriptor.digest), 'it is asked for again')
})

t.test('reads the totals of what is published, and refuses a lie about them', async t => {
  const file = forge('file', Buffer.from('content'))
  const directory = forgeDirectory([fileEntry('f', header, file)])
  const store = await makeStore([header, file, directory].map(newObject))
  await using session = await beginSession(store)
  const known = new KnownObjects(session, store)
  await known.look([directory.descriptor])
  t.ok(known.has(directory.descriptor.digest))
  const lie = { ...directory.descriptor, subObjectCount: 3 }
  await t.rejects(known.look([lie]), { code: 'invalid_object' })
})

t.test('knows only what came itself where that is asked', async t => {
  const file = forge('file', Buffer.from('content'))
  const other = forge('file', Buffer.from('other'))
  const store = await makeStore([file, other].map(newObject))
  await using session = await beginSession(store)
  const known = new KnownObjects(session, store, { scope: 'received' })
  await known.look([file.descriptor, other.descriptor])
  t.notOk(known.has(file.descriptor.digest))
  known.addReceived(file.descriptor)
  known.flushed()
  await known.look([file.descriptor, other.descriptor])
  t.ok(known.has(file.descriptor.digest))
  t.notOk(known.has(other.descriptor.digest))
})
