import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LimitExceededError, ObjectNotFoundError } from '../../../lib/errors.js'
import { findAlgorithmByName } from '../../../lib/object/algorithm.js'
import { digestObject } from '../../../lib/object/digester.js'
import type { NewObject } from '../../../lib/store/object-store.js'
import { getApplication } from '../../../lib/store/typed-object.js'
import { HashingSession } from '../../../lib/tree/source/hashing-session.js'
import { storeApplication } from '../../../lib/tree/source/store-application.js'
import { listEntries, storeInMemory } from '../../support/stored-tree.js'

const algorithm = findAlgorithmByName('sha512-256')
if (algorithm === undefined) throw new Error('no algorithm')

t.test('tells the digests that a store would have, and can be listed', async t => {
  const folder = t.testdir({ inner: { file: 'x', other: 'y' }, empty: {} })
  writeFileSync(join(folder, 'large'), Buffer.alloc(1_500_000, 'z'))
  const { descriptor, entries } = await storeInMemory(folder)
  await using session = new HashingSession(algorithm)
  const hashed = await storeApplication(folder, session)
  t.same(hashed.descriptor, descriptor)
  const application = await getApplication(session, descriptor.digest)
  t.same(await listEntries(session, application), entries)
})

t.test('keeps metadata readable, and no contents', async t => {
  await using session = new HashingSession(algorithm)
  const header = Buffer.alloc(18)
  const [file, kept] = await session.put([
    { type: 'file', payload: Buffer.from('content') },
    { type: 'header', payload: header },
  ])
  if (file === undefined || kept === undefined) throw new Error('no answer')
  t.equal(file.digest, digestObject(algorithm, 'file', Buffer.from('content')))
  const present = await session.has([file.digest, kept.digest])
  t.notOk(present.get(0))
  t.ok(present.get(1))
  t.match(await session.stat([file.digest, kept.digest]), [
    undefined,
    { type: 'header', size: 18 },
  ])
  await t.rejects(session.read([file.digest]), ObjectNotFoundError)
  await t.rejects(session.open(file.digest), ObjectNotFoundError)
  const read = async (range?: { offset: number; length: number }) => {
    await using stream = await session.open(kept.digest, range)
    const chunks: Uint8Array[] = []
    for await (const chunk of stream) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
  t.same(await read(), header)
  t.same(await read({ offset: 16, length: 9 }), header.subarray(16))
  header.fill(1)
  t.same(await read(), Buffer.alloc(18), 'the caller may use its buffer again')
  await session.publish()
})

t.test('counts streams as it counts whole objects', async t => {
  await using session = new HashingSession(algorithm)
  const parts = [Buffer.alloc(10), Buffer.alloc(8)]
  const digest = digestObject(algorithm, 'header', Buffer.alloc(18))
  const write = async () => {
    const writer = await session.stream({ type: 'header' })
    for (const part of parts) await writer.write(part)
    return writer
  }
  const cancelled = await write()
  await cancelled.cancel()
  await t.rejects(cancelled.write(Buffer.alloc(1)))
  await t.rejects(cancelled.commit())
  const held = await (await write()).hold()
  t.same(held.link, { digest, size: 18 })
  t.notOk((await session.has([digest])).get(0))
  await held.cancel()
  const again = await (await write()).hold()
  await again.commit()
  t.ok((await session.has([digest])).get(0))
  const writer = await write()
  t.equal(writer.size, 18)
  t.equal(writer.digest(), digest)
  await t.rejects(writer.write(Buffer.alloc(1)), 'after its digest was taken')
  t.same(await writer.commit(), { digest, size: 18 })
})

t.test('remembers no more than it may', async t => {
  await using session = new HashingSession(algorithm, { maxBytes: 40 })
  await session.put([headerOf(1), headerOf(2), headerOf(1)])
  await session.put([{ type: 'file', payload: Buffer.alloc(1000) }])
  await t.rejects(session.put([headerOf(3)]), LimitExceededError)
})

function headerOf(byte: number): NewObject {
  return { type: 'header', payload: Buffer.alloc(18, byte) }
}
