import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CairnError, InvalidObjectError } from '../../../lib/errors.js'
import { type Descriptor, leafDescriptor } from '../../../lib/object/descriptor.js'
import type { Digest } from '../../../lib/object/digest.js'
import { parseTagName } from '../../../lib/object/tag-name.js'
import { MemoryStore } from '../../../lib/store/memory-store.js'
import type { ObjectStore } from '../../../lib/store/object-store.js'
import {
  encodeBundleHead,
  readBundle,
  writeBundle,
} from '../../../lib/store/pack/bundle.js'
import { importPackStream } from '../../../lib/store/pack/import-pack-stream.js'
import { openPackStore } from '../../../lib/store/pack/pack-store.js'
import {
  readPackStream,
  type StreamedPart,
} from '../../../lib/store/pack/pack-stream-reader.js'
import {
  plainSource,
  writePackStream,
} from '../../../lib/store/pack/pack-stream-writer.js'
import { loadZstd } from '../../../lib/store/pack/zstd.js'
import { algorithmNamed } from '../../support/object-store-contract.js'
import { putSampleTree } from '../../support/sample-tree.js'
import { seededRandom } from '../../support/seeded-random.js'
import { noise, prose } from '../../support/stored-objects.js'

const algorithm = algorithmNamed('blake3')
const options = { where: 'here', zstd: loadZstd, verify: 'digests' } as const
const files = [
  Buffer.alloc(0),
  prose(5000, 1),
  noise(20_000, 2),
  prose(3_000_000, 3),
  noise(9 * 1024 * 1024, 4),
  Buffer.concat([prose(20 * 1024 * 1024, 5), noise(5 * 1024 * 1024, 6)]),
]

function packStore(t: Test, level?: number) {
  const root = t.testdir({ temp: {} })
  const store = openPackStore(
    root,
    level === undefined ? {} : { compression: { codec: 'zstd', level } },
  )
  t.teardown(() => store[Symbol.dispose]())
  return { root, store, newFolder: () => mkdtempSync(join(root, 'temp/')) }
}

async function fill(store: ObjectStore, folder: string): Promise<Descriptor[]> {
  await using session = await store.begin({ algorithm, folder, publishing: 'whole' })
  const { objects } = await putSampleTree(session)
  const all = [...objects]
  for (const content of files) {
    await using writer = await session.stream({ type: 'file' })
    for (let at = 0; at < content.length; at += 1_000_000) {
      await writer.write(content.subarray(at, at + 1_000_000))
    }
    all.push(leafDescriptor('file', await writer.commit()))
  }
  await session.publish([])
  return all
}

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function drain(parts: AsyncIterable<StreamedPart>): Promise<Digest[]> {
  const found: Digest[] = []
  for await (const part of parts) {
    if (part.kind === 'whole') found.push(...part.objects.map(({ digest }) => digest))
    else found.push(part.record.digest)
  }
  return found
}

for (const level of [undefined, 3] as const) {
  const name = level === undefined ? 'raw' : 'compressed'

  t.test(`${name}: carries every object from store to store`, async t => {
    const from = packStore(t, level)
    const objects = await fill(from.store, from.newFolder())
    const digests = objects.map(({ digest }) => digest)
    const stream = await collect(writePackStream([digests], from.store))
    for (const size of [7919, 10_000_000]) {
      const root = t.testdir({ temp: {} })
      using to = openPackStore(root)
      await using session = await to.begin({
        algorithm,
        folder: join(root, 'temp'),
        publishing: 'gradual',
      })
      const parts = readPackStream(chunked(stream, size), {
        ...options,
        verify: 'checksums',
      })
      await importPackStream(parts, session, loadZstd)
      await session.publish(digests)
      t.equal((await to.has(digests)).count(), digests.length)
      for (const digest of digests) for await (const _ of await to.open(digest));
    }
    const memory = new MemoryStore()
    await using session = await memory.begin({
      algorithm,
      folder: '',
      publishing: 'gradual',
    })
    const parts = readPackStream(chunked(stream, 1 << 16), options)
    await importPackStream(parts, session, loadZstd)
    await session.publish(digests)
    t.equal((await memory.has(digests)).count(), digests.length)
  })

  t.test(`${name}: reads a pack on disk from front to back`, async t => {
    const from = packStore(t, level)
    const objects = await fill(from.store, from.newFolder())
    const found: Digest[] = []
    for (const file of readdirSync(join(from.root, 'packs'))) {
      const bytes = readFileSync(join(from.root, 'packs', file))
      found.push(...(await drain(readPackStream(chunked(bytes, 65_536), options))))
    }
    const expected = new Set(objects.map(({ digest }) => digest))
    t.same(found.toSorted(), [...expected].toSorted())
  })
}

t.test('keeps the form that came', async t => {
  const from = packStore(t, 3)
  const objects = await fill(from.store, from.newFolder())
  const small = objects.filter(({ size }) => size === 5000).map(({ digest }) => digest)
  const to = packStore(t)
  await using session = await to.store.begin({
    algorithm,
    folder: to.newFolder(),
    publishing: 'whole',
  })
  const stream = writePackStream([small], from.store)
  await importPackStream(readPackStream(stream, options), session, loadZstd)
  await session.publish(small)
  const [object] = await to.store.readStored(small)
  t.equal(object?.codec, 'zstd')
})

t.test('sends from any store', async t => {
  const memory = new MemoryStore()
  const digests = (await fill(memory, '')).map(({ digest }) => digest)
  const stream = await collect(writePackStream([digests], plainSource(memory)))
  const found = await drain(readPackStream(chunked(stream, 100_000), options))
  t.same(new Set(found), new Set(digests))
})

t.test('refuses what stands behind the end, and an end that comes early', async t => {
  const memory = new MemoryStore()
  const digests = (await fill(memory, '')).slice(0, 5).map(({ digest }) => digest)
  const stream = await collect(writePackStream([digests], plainSource(memory)))
  const longer = Buffer.concat([stream, Buffer.alloc(1)])
  await t.rejects(drain(readPackStream(chunked(longer, 1000), options)), {
    code: 'invalid_object',
  })
  for (let length = 0; length < stream.length; length += 61) {
    const cut = stream.subarray(0, length)
    await t.rejects(drain(readPackStream(chunked(cut, 1000), options)), {
      code: 'connection_lost',
    })
  }
})

t.test('bundles roots and tags', async t => {
  const from = packStore(t)
  const objects = await fill(from.store, from.newFolder())
  const root = objects.find(({ type }) => type === 'application')
  if (root === undefined) throw new Error('no application')
  const tags = [
    { name: parseTagName('zeta'), root: 0 },
    { name: parseTagName('Alpha'), root: 0 },
  ]
  const digests = objects.map(({ digest }) => digest)
  const bytes = await collect(writeBundle({ roots: [root], tags }, [digests], from.store))
  const { head, parts } = await readBundle(chunked(bytes, 999), options)
  t.same(head.roots, [root])
  t.same(
    head.tags.map(({ name }) => name),
    ['Alpha', 'zeta'],
  )
  t.equal((await drain(parts)).length, new Set(digests).size)
})

t.test('refuses every bundle head with a changed byte', async t => {
  const root = leafDescriptor('file', {
    digest: `0a${'12'.repeat(32)}` as Digest,
    size: 3,
  })
  const tags = [{ name: parseTagName('one'), root: 0 }]
  const head = encodeBundleHead({ roots: [root], tags })
  for (let at = 0; at < head.length; at++) {
    const damaged = Buffer.from(head)
    damaged[at] = (damaged[at] ?? 0) ^ 0x20
    await t.rejects(readBundle(chunked(damaged, 100), options), {
      code: /^(invalid_object|connection_lost)$/,
    })
  }
  const wrong = encodeBundleHead({
    roots: [root],
    tags: [{ ...tags[0], root: 1 }] as never,
  })
  await t.rejects(readBundle(chunked(wrong, 100), options), InvalidObjectError)
})

t.test('throws only our errors on 20,000 changed streams, in bounded memory', async t => {
  const seed = randomBytes(4).readUInt32LE(0)
  t.comment(`seed ${seed}`)
  const random = seededRandom(seed)
  const from = packStore(t, 1)
  const folder = from.newFolder()
  await using session = await from.store.begin({ algorithm, folder, publishing: 'whole' })
  const { objects } = await putSampleTree(session)
  const links = await session.put(
    [prose(900, 1), noise(300, 2), prose(2000, 7)].map(payload => ({
      type: 'file',
      payload,
    })),
  )
  await session.publish([])
  const digests = [...objects, ...links].map(({ digest }) => digest)
  const stream = await collect(writePackStream([digests], from.store))
  const before = process.memoryUsage.rss()
  let refused = 0
  for (let run = 0; run < 20_000; run++) {
    const changed = mutate(stream, random)
    try {
      await drain(readPackStream(chunked(changed, 4096), options))
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      refused += 1
    }
  }
  const grown = process.memoryUsage.rss() - before
  t.ok(grown < 150 * 1024 * 1024, `grew by ${grown} bytes`)
  t.ok(refused > 19_000, `${refused} were refused`)
})

function mutate(bytes: Buffer, random: () => number): Buffer {
  const at = Math.floor(random() * bytes.length)
  const kind = Math.floor(random() * 4)
  if (kind === 0) return bytes.subarray(0, at)
  const changed = Buffer.from(bytes)
  if (kind === 1) changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random() * 8))
  // Headers stand at the start: numbers there matter most.
  else if (kind === 2) {
    changed.writeUInt32LE(Math.floor(random() * 2 ** 32), Math.floor(random() * 60))
  } else {
    const length = 1 + Math.floor(random() * 64)
    changed.subarray(at, at + length).fill(Math.floor(random() * 256))
  }
  return changed
}
