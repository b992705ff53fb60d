import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import {
  CorruptObjectError,
  IncompleteClosureError,
  InvalidArgumentError,
  InvalidObjectError,
  LimitExceededError,
  NotRepresentableError,
  ObjectNotFoundError,
} from '../../lib/errors.js'
import {
  type Algorithm,
  type AlgorithmName,
  algorithms,
  findAlgorithmByName,
} from '../../lib/object/algorithm.js'
import type { ObjectLink } from '../../lib/object/descriptor.js'
import { type Digest, parseDigest } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import { encodeDirectory } from '../../lib/object/directory.js'
import { encodeHeader } from '../../lib/object/header.js'
import type { ObjectType } from '../../lib/object/object-type.js'
import { maxMetadataBytes } from '../../lib/object/received-object.js'
import type {
  ObjectReader,
  ObjectStore,
  ObjectStream,
  Publishing,
  StoreSession,
} from '../../lib/store/object-store.js'
import { plainHeader, putFile, putSampleTree } from './sample-tree.js'

/** What the suite needs of one empty store. */
export type StoreUnderTest = {
  readonly store: ObjectStore
  /** Makes a folder for one session. */
  readonly newFolder: () => string
  /** What lies in the folders of sessions now. */
  readonly leftovers?: () => readonly string[]
  /** Changes the stored bytes of a published object behind the store's back. */
  readonly damage?: (digest: Digest, how: 'flip' | 'cut' | 'empty') => void
}

/** An implementation of ObjectStore. */
export type StoreImplementation = {
  readonly name: string
  readonly open: (t: Test) => Promise<StoreUnderTest>
}

type Suite = { readonly implementation: StoreImplementation; readonly t: Test }

/** Holds an implementation to every sentence of the interfaces in object-store.ts. */
export function testObjectStore(t: Test, implementation: StoreImplementation): void {
  t.test(implementation.name, async t => {
    const suite = { implementation, t }
    testReading(suite)
    testRanges(suite)
    testDamage(suite)
    testListing(suite)
    testPutting(suite)
    testRefusals(suite)
    testWriters(suite)
    testHolding(suite)
    testPublishing(suite)
    testConcurrency(suite)
    testDisposal(suite)
  })
}

/** Finds an algorithm that exists. */
export function algorithmNamed(name: AlgorithmName): Algorithm {
  const algorithm = findAlgorithmByName(name)
  if (algorithm === undefined) throw new Error(`no algorithm ${name}`)
  return algorithm
}

const blake3 = algorithmNamed('blake3')
const sha512t256 = algorithmNamed('sha512-256')
const absent = parseDigest(`0a${'00'.repeat(32)}`)

async function begin(
  { store, newFolder }: StoreUnderTest,
  publishing: Publishing = 'whole',
): Promise<StoreSession> {
  return store.begin({ algorithm: blake3, folder: newFolder(), publishing })
}

async function publishFile(under: StoreUnderTest, content: Uint8Array | string) {
  await using session = await begin(under)
  const link = await putFile(session, content)
  await session.publish([link.digest])
  return link
}

async function bytesOf(stream: ObjectStream): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function isPresent(reader: Pick<ObjectReader, 'has'>, digest: Digest) {
  return (await reader.has([digest])).get(0)
}

async function writeStream(
  session: StoreSession,
  content: Uint8Array,
  type: ObjectType = 'file',
) {
  const writer = await session.stream({ type })
  for (let start = 0; start < content.length; start += 100_000) {
    await writer.write(content.subarray(start, start + 100_000))
  }
  return writer
}

function testReading({ t, implementation }: Suite): void {
  t.test('answers has and stat for each digest in order', async t => {
    const under = await implementation.open(t)
    const one = await publishFile(under, 'one')
    const two = await publishFile(under, '')
    const digests = [one.digest, absent, two.digest, one.digest]
    const bits = await under.store.has(digests)
    t.same(
      digests.map((_, index) => bits.get(index)),
      [true, false, true, true],
    )
    t.same(await under.store.stat(digests), [
      { type: 'file', size: 3 },
      undefined,
      { type: 'file', size: 0 },
      { type: 'file', size: 3 },
    ])
    t.equal((await under.store.has([])).length, 0)
    t.same(await under.store.stat([]), [])
  })

  t.test('reads whole objects in order', async t => {
    const under = await implementation.open(t)
    const one = await publishFile(under, 'one')
    const two = await publishFile(under, '')
    const found = await under.store.read([two.digest, one.digest, two.digest])
    t.same(found, [
      { digest: two.digest, type: 'file', size: 0, payload: Buffer.alloc(0) },
      { digest: one.digest, type: 'file', size: 3, payload: Buffer.from('one') },
      { digest: two.digest, type: 'file', size: 0, payload: Buffer.alloc(0) },
    ])
    t.same(await under.store.read([]), [])
  })

  t.test('hands out bytes that are the reader’s to change', async t => {
    const under = await implementation.open(t)
    const { digest } = await publishFile(under, 'content')
    const [whole] = await under.store.read([digest])
    whole?.payload.fill(0)
    for await (const chunk of await under.store.open(digest)) chunk.fill(0)
    t.equal((await bytesOf(await under.store.open(digest))).toString(), 'content')
  })

  t.test('says which object is not found', async t => {
    const { store } = await implementation.open(t)
    const expected = { code: 'object_not_found', facts: { digest: absent } }
    await t.rejects(store.read([absent]), expected)
    await t.rejects(store.open(absent), expected)
    await t.rejects(store.read([absent]), ObjectNotFoundError)
  })

  t.test('keeps objects of every algorithm beside one another', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const payload = Buffer.from('the same')
    const put = await session.put(
      algorithms.map(algorithm => ({ type: 'file', payload, algorithm })),
    )
    t.same(
      put.map(({ digest }) => digest),
      algorithms.map(algorithm => digestObject(algorithm, 'file', payload)),
    )
    const writer = await session.stream({ type: 'file', algorithm: sha512t256 })
    await writer.write(Buffer.from('streamed'))
    const links = [...put, await writer.commit()]
    await session.publish(links.map(({ digest }) => digest))
    for (const { digest } of links) {
      t.ok(await isPresent(under.store, digest), digest)
      t.equal((await under.store.read([digest])).length, 1)
      t.ok((await bytesOf(await under.store.open(digest))).length > 0)
    }
  })

  t.test('tells the same bytes apart by their type', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const payload = encodeHeader(plainHeader(0o644))
    const types = ['file', 'header'] as const
    const links = await session.put(types.map(type => ({ type, payload })))
    await session.publish([])
    const digests = links.map(({ digest }) => digest)
    t.equal(new Set(digests).size, 2)
    const found = await under.store.read(digests)
    t.same(
      found.map(({ type }) => type),
      types,
    )
  })

  t.test('streams a large payload in chunks of at most 1 MiB', async t => {
    const under = await implementation.open(t)
    const content = randomBytes(9 * 1024 * 1024 + 17)
    await using session = await begin(under)
    const writer = await writeStream(session, content)
    t.equal(writer.size, content.length)
    const { digest, size } = await writer.commit()
    await session.publish([digest])
    t.equal(size, content.length)
    t.equal(digest, digestObject(blake3, 'file', content))

    await using stream = await under.store.open(digest)
    t.match(stream, { type: 'file', size: content.length })
    const chunks: Uint8Array[] = []
    for await (const chunk of stream) chunks.push(chunk)
    t.ok(chunks.every(chunk => chunk.length > 0 && chunk.length <= 1024 * 1024))
    t.ok(Buffer.concat(chunks).equals(content))
  })

  t.test('reads a stream once, and not after it is closed', async t => {
    const under = await implementation.open(t)
    const { digest } = await publishFile(under, 'content')
    const read = await under.store.open(digest)
    await bytesOf(read)
    await t.rejects(bytesOf(read), /read already|closed/)
    const closed = await under.store.open(digest)
    await closed[Symbol.asyncDispose]()
    await closed[Symbol.asyncDispose]()
    await t.rejects(bytesOf(closed), /closed/)
  })

  t.test('lets a reader leave a stream before its end', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const writer = await writeStream(session, randomBytes(3 * 1024 * 1024))
    const { digest } = await writer.commit()
    await session.publish([])
    let chunks = 0
    for await (const _ of await under.store.open(digest)) {
      chunks++
      break
    }
    t.equal(chunks, 1)
  })

  t.test('refuses to read whole what is above the limit of whole objects', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const writer = await session.stream({ type: 'file' })
    const chunk = Buffer.alloc(4 * 1024 * 1024)
    for (let size = 0; size <= maxMetadataBytes; size += chunk.length) {
      await writer.write(chunk)
    }
    const { digest } = await writer.commit()
    await session.publish([digest])
    await t.rejects(under.store.read([digest]), LimitExceededError)
    const range = { offset: maxMetadataBytes, length: 10 }
    t.equal((await bytesOf(await under.store.open(digest, range))).length, 10)
  })
}

function testRanges({ t, implementation }: Suite): void {
  t.test('reads ranges, cut at the end of the payload', async t => {
    const under = await implementation.open(t)
    const content = randomBytes(2 * 1024 * 1024 + 5)
    const { digest } = await publishFile(under, content)
    for (const [offset, length] of [
      [0, 0],
      [0, 1],
      [0, content.length],
      [1, 1024 * 1024 + 1],
      [1024 * 1024, 1024 * 1024],
      [content.length - 1, 10],
      [content.length, 10],
      [content.length + 100, 10],
      [5, Number.MAX_SAFE_INTEGER],
    ] as const) {
      const stream = await under.store.open(digest, { offset, length })
      t.equal(stream.size, content.length, 'tells the size of the whole payload')
      const expected = content.subarray(offset, offset + length)
      t.ok((await bytesOf(stream)).equals(expected), `${length} from ${offset}`)
    }
  })

  t.test('refuses what is no range', async t => {
    const under = await implementation.open(t)
    const { digest } = await publishFile(under, 'content')
    for (const [offset, length] of [
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
      [Number.POSITIVE_INFINITY, 1],
    ] as const) {
      const opened = under.store.open(digest, { offset, length })
      await t.rejects(opened, InvalidArgumentError, `${length} from ${offset}`)
    }
  })
}

function testDamage({ t, implementation }: Suite): void {
  t.test('never takes changed bytes for the object', async t => {
    const under = await implementation.open(t)
    if (under.damage === undefined) {
      t.pass('its bytes are out of reach')
      return
    }
    for (const how of ['flip', 'cut', 'empty'] as const) {
      const { digest } = await publishFile(under, `to be damaged: ${how}`)
      under.damage(digest, how)
      await t.rejects(under.store.read([digest]), CorruptObjectError, how)
      await t.rejects(async () => bytesOf(await under.store.open(digest)), {
        code: 'corrupt_object',
        facts: { digest },
      })
    }
    const large = await publishFile(under, randomBytes(3 * 1024 * 1024))
    under.damage(large.digest, 'flip')
    await t.rejects(async () => bytesOf(await under.store.open(large.digest)), {
      code: 'corrupt_object',
    })
  })

  t.test('replaces an object that lost bytes when it is stored again', async t => {
    const under = await implementation.open(t)
    if (under.damage === undefined) {
      t.pass('its bytes are out of reach')
      return
    }
    for (const how of ['cut', 'empty'] as const) {
      const { digest } = await publishFile(under, `to be restored: ${how}`)
      under.damage(digest, how)
      await publishFile(under, `to be restored: ${how}`)
      const [found] = await under.store.read([digest])
      t.equal(found?.payload.toString(), `to be restored: ${how}`)
    }
  })
}

function testListing({ t, implementation }: Suite): void {
  t.test('lists what is published, ascending, by prefix', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const objects = Array.from({ length: 1500 }, (_, index) => ({
      type: 'file' as const,
      payload: Buffer.from(`object ${index}`),
      ...(index % 3 === 0 && { algorithm: sha512t256 }),
    }))
    const links = await session.put(objects)
    const list = async (prefix?: string) => {
      const found: Digest[] = []
      for await (const batch of under.store.list(prefix)) {
        t.ok(batch.length > 0, 'no empty batch')
        found.push(...batch)
      }
      return found
    }
    t.same(await list(), [], 'nothing before it is published')
    await session.publish([])
    const all = links.map(({ digest }) => digest).toSorted()
    t.same((await list()).toSorted(), all)
    for (const prefix of [
      '05',
      '0a',
      '0',
      '0a1',
      '0a12',
      '0a123',
      '05abcd',
      `${all[7]}`,
    ]) {
      const expected = all.filter(digest => digest.startsWith(prefix))
      t.same(await list(prefix), expected, prefix)
    }
    for (const prefix of ['0A', 'zz', '../', '0b', `${all[0]}00`, '0a/']) {
      t.same(await list(prefix), [], prefix)
    }
  })

  t.test('lists nothing in an empty store', async t => {
    const { store } = await implementation.open(t)
    for await (const _ of store.list()) t.fail('a batch')
    t.pass()
  })
}

function testPutting({ t, implementation }: Suite): void {
  t.test('commits a batch in order and tells digests and sizes', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const contents = ['one', '', 'two', 'one']
    const links = await session.put(
      contents.map(content => ({ type: 'file', payload: Buffer.from(content) })),
    )
    t.same(
      links,
      contents.map(content => ({
        digest: digestObject(blake3, 'file', Buffer.from(content)),
        size: content.length,
      })),
    )
    t.same(await session.put([]), [])
    t.same(await session.stat(links.map(({ digest }) => digest)), [
      { type: 'file', size: 3 },
      { type: 'file', size: 0 },
      { type: 'file', size: 3 },
      { type: 'file', size: 3 },
    ])
  })

  t.test('sees its own commits and what is published, others see neither', async t => {
    const under = await implementation.open(t)
    const published = await publishFile(under, 'published')
    await using session = await begin(under)
    await using other = await begin(under)
    const committed = await putFile(session, 'committed')
    const digests = [published.digest, committed.digest, absent]
    const seen = await session.has(digests)
    t.same([seen.get(0), seen.get(1), seen.get(2)], [true, true, false])
    t.notOk(await isPresent(other, committed.digest))
    t.notOk(await isPresent(under.store, committed.digest))
    t.same(await other.stat(digests), [{ type: 'file', size: 9 }, undefined, undefined])
    for (const looking of [session, other]) {
      const found = digests.map(digest => looking.find(digest))
      t.same(
        found.map(info => info && { type: info.type, size: info.size }),
        await looking.stat(digests),
      )
    }
  })

  t.test('keeps what is there already', async t => {
    const under = await implementation.open(t)
    const before = await publishFile(under, 'twice')
    const after = await publishFile(under, 'twice')
    t.same(after, before)
    t.equal((await under.store.read([after.digest])).length, 1)
  })

  t.test('takes payloads as they were, and leaves them to the caller', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const payload = Buffer.from('content')
    const [link] = await session.put([{ type: 'file', payload }])
    payload.fill(0)
    const writer = await session.stream({ type: 'file' })
    const chunk = Buffer.from('chunk')
    await writer.write(chunk)
    chunk.fill(0)
    await writer.write(Buffer.from(' more'))
    const streamed = await writer.commit()
    await session.publish([])
    const found = await under.store.read([link?.digest ?? absent, streamed.digest])
    t.same(
      found.map(object => object.payload.toString()),
      ['content', 'chunk more'],
    )
  })
}

function invalid(type: ObjectType) {
  return { type, payload: Buffer.from('garbage') }
}

function testRefusals({ t, implementation }: Suite): void {
  t.test('refuses garbage as header, directory or application', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    for (const type of ['header', 'directory', 'application'] as const) {
      await t.rejects(session.put([invalid(type)]), InvalidObjectError, type)
      const written = await writeStream(session, Buffer.from('garbage'), type)
      await t.rejects(written.commit(), InvalidObjectError, `${type} as a stream`)
      const held = await writeStream(session, Buffer.from('garbage'), type)
      await t.rejects(held.hold(), InvalidObjectError, `${type} held`)
    }
    await session.publish([])
    for await (const _ of under.store.list()) t.fail('something was stored')
  })

  t.test('keeps those before the one that it refuses', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const payload = Buffer.from('good')
    const batch = [{ type: 'file' as const, payload }, invalid('directory')]
    await t.rejects(session.put(batch), InvalidObjectError)
    const digest = digestObject(blake3, 'file', payload)
    t.ok(await isPresent(session, digest))
    await session.publish([digest])
    t.ok(await isPresent(under.store, digest))
  })

  t.test('refuses a tree of two algorithms', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const payload = encodeHeader(plainHeader(0o644))
    const put = { type: 'header', payload, algorithm: sha512t256 } as const
    const [header] = await session.put([put])
    if (header === undefined) throw new Error('no header')
    const directory = encodeDirectory([
      { kind: 'fifo', name: Buffer.from('pipe'), header },
    ])
    const object = { type: 'directory', payload: directory } as const
    await t.rejects(session.put([object]), InvalidObjectError)
    const writer = await writeStream(session, directory, 'directory')
    await t.rejects(writer.commit(), InvalidObjectError)
    t.equal((await session.put([{ ...object, algorithm: sha512t256 }])).length, 1)
  })

  t.test('refuses totals beyond their fields', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const [header] = await session.put([
      { type: 'header', payload: encodeHeader(plainHeader(0o644)) },
    ])
    if (header === undefined) throw new Error('no header')
    const payload = encodeDirectory(
      ['a', 'b'].map(name => ({
        kind: 'directory',
        name: Buffer.from(name),
        header,
        directory: {
          digest: absent,
          size: 4,
          subObjectCount: 0xffff_fff0,
          subObjectsSize: 0n,
        },
      })),
    )
    await t.rejects(session.put([{ type: 'directory', payload }]), NotRepresentableError)
  })

  t.test('refuses metadata that grows above its limit, as it grows', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    await using writer = await session.stream({ type: 'directory' })
    const chunk = Buffer.alloc(16 * 1024 * 1024)
    await t.rejects(async () => {
      for (let count = 0; count < 5; count++) await writer.write(chunk)
    }, LimitExceededError)
    t.equal(writer.size, maxMetadataBytes)
  })
}

function testWriters({ t, implementation }: Suite): void {
  for (const size of [0, 1, 300_000]) {
    t.test(`ends a writer of ${size} bytes by commit, hold or cancel, once`, async t => {
      const under = await implementation.open(t)
      await using session = await begin(under)
      const content = randomBytes(size)
      const chunk = Buffer.from('x')

      const committed = await writeStream(session, content)
      const digest = committed.digest()
      t.equal(digest, digestObject(blake3, 'file', content))
      t.equal(committed.digest(), digest, 'the digest can be asked again')
      await t.rejects(committed.write(chunk), /digest/)
      t.same(await committed.commit(), { digest, size })
      t.equal(committed.digest(), digest, 'and afterwards')
      await t.rejects(committed.write(chunk), /ended/)
      await t.rejects(committed.commit(), /ended/)
      await t.rejects(committed.hold(), /ended/)
      await committed.cancel()
      t.ok(await isPresent(session, digest), 'a late cancel changes nothing')

      const cancelled = await writeStream(session, Buffer.concat([content, chunk]))
      await cancelled.cancel()
      await cancelled.cancel()
      await t.rejects(cancelled.write(chunk), /ended/)
      await t.rejects(cancelled.commit(), /ended/)

      let disposed: Digest
      {
        await using writer = await writeStream(session, Buffer.concat([chunk, content]))
        disposed = writer.digest()
      }
      await session.publish([digest])
      t.ok(await isPresent(under.store, digest))
      t.notOk(await isPresent(under.store, disposed), 'disposing cancels')
    })
  }

  t.test('commits headers and directories as streams', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const header = encodeHeader(plainHeader(0o644))
    const written = await writeStream(session, header, 'header')
    const { digest } = await written.commit()
    t.equal(digest, digestObject(blake3, 'header', header))
    t.same(await session.stat([digest]), [{ type: 'header', size: header.length }])
  })
}

function testHolding({ t, implementation }: Suite): void {
  for (const size of [10, 300_000]) {
    t.test(`holds ${size} bytes aside until they are committed`, async t => {
      const under = await implementation.open(t)
      await using session = await begin(under, 'gradual')
      const content = randomBytes(size)
      const held = await (await writeStream(session, content)).hold()
      const { digest } = held.link
      t.same(held.link, { digest: digestObject(blake3, 'file', content), size })
      t.notOk(await isPresent(session, digest), 'invisible to its own session')
      await session.publish([])
      t.notOk(await isPresent(under.store, digest), 'not published')
      await held.commit()
      t.ok(await isPresent(session, digest))
      await t.rejects(held.commit(), /ended/)
      await held.cancel()
      await session.publish([digest])
      t.ok((await bytesOf(await under.store.open(digest))).equals(content))
    })

    t.test(`forgets ${size} held bytes that are cancelled`, async t => {
      const under = await implementation.open(t)
      await using session = await begin(under)
      const writer = await writeStream(session, randomBytes(size))
      const held = await writer.hold()
      await writer[Symbol.asyncDispose]()
      await held.cancel()
      await held.cancel()
      await t.rejects(held.commit(), /ended/)
      t.notOk(await isPresent(session, held.link.digest))
    })
  }

  t.test('does not end what is held with its writer', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const writer = await writeStream(session, randomBytes(300_000))
    const held = await writer.hold()
    await writer.cancel()
    await held.commit()
    t.ok(await isPresent(session, held.link.digest))
  })

  t.test('commits two held copies of one object', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under)
    const content = randomBytes(300_000)
    const one = await (await writeStream(session, content)).hold()
    const two = await (await writeStream(session, content)).hold()
    await one.commit()
    await two.commit()
    await session.publish([one.link.digest])
    t.ok((await bytesOf(await under.store.open(one.link.digest))).equals(content))
  })
}

function testPublishing({ t, implementation }: Suite): void {
  for (const publishing of ['gradual', 'whole'] as const) {
    t.test(`${publishing}: publishes what was committed, several times`, async t => {
      const under = await implementation.open(t)
      await using session = await begin(under, publishing)
      const { application, objects } = await putSampleTree(session)
      await session.publish([application.digest])
      const digests = objects.map(({ digest }) => digest)
      t.equal((await under.store.has(digests)).count(), objects.length)
      await session.publish([application.digest])
      const later = await putFile(session, 'later')
      await session.publish([application.digest, later.digest])
      t.ok(await isPresent(under.store, later.digest))
      await session.publish([])
    })

    t.test(`${publishing}: publishes nothing for a root that is not there`, async t => {
      const under = await implementation.open(t)
      await using session = await begin(under, publishing)
      const link = await putFile(session, 'content')
      const held = await (await writeStream(session, Buffer.from('held'))).hold()
      for (const root of [absent, held.link.digest]) {
        await t.rejects(session.publish([link.digest, root]), IncompleteClosureError)
        t.notOk(await isPresent(under.store, link.digest))
      }
      await session.publish([link.digest])
      t.ok(await isPresent(under.store, link.digest), 'can be called again')
    })

    t.test(`${publishing}: publishes many objects`, async t => {
      const under = await implementation.open(t)
      await using session = await begin(under, publishing)
      const digests: Digest[] = []
      for (let start = 0; start < 9000; start += 500) {
        const links = await session.put(
          Array.from({ length: 500 }, (_, index) => ({
            type: 'file' as const,
            payload: Buffer.from(`${publishing} ${start + index}`),
          })),
        )
        digests.push(...links.map(({ digest }) => digest))
      }
      t.equal((await session.has(digests)).count(), digests.length)
      const before = (await under.store.has(digests)).count()
      if (publishing === 'whole') t.equal(before, 0, 'nothing is visible')
      t.equal((await session.stat(digests)).indexOf(undefined), -1)
      await session.publish([digests.at(-1) ?? absent])
      t.equal((await under.store.has(digests)).count(), digests.length)
    })
  }

  t.test('accepts roots that were published before', async t => {
    const under = await implementation.open(t)
    const { digest } = await publishFile(under, 'before')
    await using session = await begin(under)
    await session.publish([digest])
    t.ok(await isPresent(under.store, digest))
  })
}

function testConcurrency({ t, implementation }: Suite): void {
  t.test('lets two sessions store the same objects', async t => {
    const under = await implementation.open(t)
    await using one = await begin(under, 'gradual')
    await using two = await begin(under, 'whole')
    const trees = await Promise.all([one, two].map(session => putSampleTree(session)))
    const content = randomBytes(400_000)
    const links = await Promise.all(
      [one, two].map(async session => (await writeStream(session, content)).commit()),
    )
    const roots = [trees[0]?.application.digest ?? absent, links[0]?.digest ?? absent]
    await Promise.all([one, two].map(session => session.publish(roots)))
    const digests = trees.flatMap(({ objects }) => objects.map(({ digest }) => digest))
    t.equal((await under.store.read(digests)).length, digests.length)
    t.ok((await bytesOf(await under.store.open(roots[1] ?? absent))).equals(content))
  })

  t.test('takes puts, writers and publishing at once', async t => {
    const under = await implementation.open(t)
    await using session = await begin(under, 'gradual')
    const work = Array.from({ length: 12 }, async (_, index) => {
      const links: ObjectLink[] = [...(await session.put(fileBatch(index)))]
      const writer = await writeStream(session, randomBytes(300_000 + index))
      await session.publish([])
      links.push(await writer.commit())
      return links
    })
    const links = (await Promise.all(work)).flat()
    await session.publish(links.map(({ digest }) => digest))
    const digests = links.map(({ digest }) => digest)
    t.equal((await under.store.has(digests)).count(), digests.length)
  })

  t.test('keeps a payload readable while it is stored again', async t => {
    const under = await implementation.open(t)
    const content = randomBytes(3 * 1024 * 1024)
    const { digest } = await publishFile(under, content)
    const stream = await under.store.open(digest)
    await publishFile(under, content)
    t.ok((await bytesOf(stream)).equals(content))
  })
}

function fileBatch(seed: number) {
  return Array.from({ length: 150 }, (_, index) => ({
    type: 'file' as const,
    payload: Buffer.from(`batch ${seed} file ${index % 140}`),
  }))
}

function testDisposal({ t, implementation }: Suite): void {
  for (const publishing of ['gradual', 'whole'] as const) {
    t.test(`${publishing}: discards what was not published, and every file`, async t => {
      const under = await implementation.open(t)
      const session = await begin(under, publishing)
      const published = await putFile(session, 'published')
      await session.publish([published.digest])
      await putSampleTree(session)
      const open = await writeStream(session, randomBytes(400_000))
      const held = await (await writeStream(session, randomBytes(400_000))).hold()
      await (await writeStream(session, randomBytes(400_000))).commit()
      await session[Symbol.asyncDispose]()
      await session[Symbol.asyncDispose]()
      t.ok(await isPresent(under.store, published.digest))
      if (under.leftovers !== undefined) t.same(under.leftovers(), [])

      await t.rejects(open.write(Buffer.from('x')), /closed/)
      await t.rejects(open.commit(), /closed/)
      await open.cancel()
      await t.rejects(held.commit(), /closed/)
      await held.cancel()
    })
  }

  t.test('takes nothing when it is closed', async t => {
    const under = await implementation.open(t)
    const session = await begin(under)
    await session[Symbol.asyncDispose]()
    await t.rejects(session.put(fileBatch(0)), /closed/)
    await t.rejects(session.stream({ type: 'file' }), /closed/)
    await t.rejects(session.publish([]), /closed/)
    await t.rejects(session.has([absent]), /closed/)
    await t.rejects(session.stat([absent]), /closed/)
  })

  t.test('leaves no file after everything was published', async t => {
    const under = await implementation.open(t)
    {
      await using session = await begin(under, 'gradual')
      await session.put(fileBatch(1))
      await (await writeStream(session, randomBytes(400_000))).commit()
      await session.publish([])
    }
    if (under.leftovers !== undefined) t.same(under.leftovers(), [])
    t.pass()
  })
}
