import { mkdtempSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { InvalidArgumentError } from '../../../lib/errors.js'
import type { Digest } from '../../../lib/object/digest.js'
import type { ObjectReader, Publishing } from '../../../lib/store/object-store.js'
import {
  openPackStore,
  type PackStoreOptions,
} from '../../../lib/store/pack/pack-store.js'
import { findZstd } from '../../../lib/store/pack/zstd.js'
import { algorithmNamed } from '../../support/object-store-contract.js'
import { item, noise, prose } from '../../support/stored-objects.js'

const algorithm = algorithmNamed('blake3')
const mebibyte = 1024 * 1024

function open(t: Test, options: PackStoreOptions = {}) {
  const root = t.testdir({ temp: {} })
  const store = openPackStore(root, options)
  t.teardown(() => store[Symbol.dispose]())
  const folder = mkdtempSync(join(root, 'temp/'))
  const begin = async (publishing: Publishing = 'whole') =>
    store.begin({ algorithm, folder, publishing })
  const files = () => readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return { root, store, begin, files }
}

async function bytesOf(reader: ObjectReader, digest: Digest): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of await reader.open(digest)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

t.test('writes files of known size straight into packs, several at once', async t => {
  const { store, begin, files } = open(t)
  await using session = await begin()
  const contents = [1, 2, 3].map(seed => noise(mebibyte + seed, seed))
  const writers = await Promise.all(
    contents.map(async ({ length }) => session.stream({ type: 'file', size: length })),
  )
  for (let at = 0; at < mebibyte + 4; at += 100_000) {
    for (const [index, writer] of writers.entries()) {
      await writer.write(contents[index]?.subarray(at, at + 100_000) ?? Buffer.alloc(0))
    }
  }
  t.notOk(files().some(name => name.endsWith('.aside')))
  const links = await Promise.all(writers.map(async writer => writer.commit()))
  await session.publish(links.map(({ digest }) => digest))
  for (const [index, { digest }] of links.entries()) {
    t.ok((await bytesOf(store, digest)).equals(contents[index] ?? Buffer.alloc(0)))
  }
})

t.test('publishes what is whole while a large file is still being written', async t => {
  const { store, begin } = open(t)
  await using session = await begin('gradual')
  const [one, two] = [noise(mebibyte, 1), noise(2 * mebibyte, 2)]
  await using first = await session.stream({ type: 'file', size: one.length })
  await first.write(one)
  const whole = await first.commit()
  await using second = await session.stream({ type: 'file', size: two.length })
  await second.write(two.subarray(0, mebibyte))
  await session.publish([whole.digest])
  t.ok((await bytesOf(store, whole.digest)).equals(one))
  await second.write(two.subarray(mebibyte))
  const { digest } = await second.commit()
  await session.publish([digest])
  t.ok((await bytesOf(store, digest)).equals(two))
})

t.test('leaves out runs of zeros, and gives them back', async t => {
  const { root, store, begin } = open(t)
  const size = 64 * mebibyte
  const content = Buffer.alloc(size)
  noise(5000, 1).copy(content, 100)
  noise(5000, 2).copy(content, 40 * mebibyte + 77)
  const digests: Digest[] = []
  await using session = await begin()
  for (const announced of [size, undefined]) {
    content[0] = announced === undefined ? 1 : 2
    const object = { type: 'file' as const }
    await using writer = await session.stream(
      announced === undefined ? object : { ...object, size: announced },
    )
    for (let at = 0; at < size; at += 777_777)
      await writer.write(content.subarray(at, at + 777_777))
    digests.push((await writer.commit()).digest)
  }
  await session.publish(digests)
  for (const name of readdirSync(join(root, 'packs'))) {
    const { size: length, blocks } = statSync(join(root, 'packs', name))
    t.ok(length >= size)
    t.ok(blocks * 512 < mebibyte, `${blocks} blocks`)
  }
  const [digest] = digests
  content[0] = 2
  if (digest !== undefined) t.ok((await bytesOf(store, digest)).equals(content))
})

t.test('refuses another size than was announced, and goes on', async t => {
  const { store, begin } = open(t)
  await using session = await begin()
  const content = noise(mebibyte, 1)
  for (const size of [content.length - 1, content.length + 1]) {
    await using writer = await session.stream({ type: 'file', size })
    await t.rejects(
      async () => {
        await writer.write(content)
        await writer.commit()
      },
      { code: 'invalid_object' },
    )
  }
  await using writer = await session.stream({ type: 'file', size: content.length })
  await writer.write(content)
  const { digest } = await writer.commit()
  await session.publish([digest])
  t.ok((await bytesOf(store, digest)).equals(content))
  const listed: Digest[] = []
  for await (const batch of store.list()) listed.push(...batch)
  t.same(listed, [digest])
})

t.test('compresses what shrinks and nothing else', async t => {
  const { store, begin } = open(t, { compression: { codec: 'zstd', level: 3 } })
  await using session = await begin()
  const cases = [
    { content: Buffer.from('short'), codec: 'raw' },
    { content: noise(10_000, 1), codec: 'raw' },
    { content: noise(2 * mebibyte, 1), codec: 'raw' },
    { content: prose(10_000, 1), codec: 'zstd' },
    { content: prose(3 * mebibyte + 1, 2), codec: 'zstd' },
    { content: Buffer.alloc(mebibyte), codec: 'zstd' },
    // The start promises what the rest does not keep.
    {
      content: Buffer.concat([prose(mebibyte, 3), noise(26 * mebibyte, 4)]),
      codec: 'raw',
    },
  ]
  for (const { content, codec } of cases) {
    await using writer = await session.stream({ type: 'file', size: content.length })
    for (let at = 0; at < content.length; at += 300_000)
      await writer.write(content.subarray(at, at + 300_000))
    const { digest } = await writer.commit()
    await session.publish([digest])
    const [stored] = await store.readStored([digest])
    t.equal(stored?.codec, codec)
    t.ok((await bytesOf(store, digest)).equals(content))
    for (const offset of [0, mebibyte - 1, mebibyte, 2 * mebibyte + 5]) {
      const range = { offset, length: mebibyte + 3 }
      const chunks: Uint8Array[] = []
      for await (const chunk of await store.open(digest, range)) chunks.push(chunk)
      const expected = content.subarray(offset, offset + range.length)
      t.ok(Buffer.concat(chunks).equals(expected))
    }
  }
})

t.test('one implementation of zstd reads what another wrote', async t => {
  const [library, wasm] = await Promise.all([findZstd('library'), findZstd('wasm')])
  if (library === undefined || wasm === undefined) {
    t.pass('there is only one')
    return
  }
  const plain = prose(mebibyte, 1)
  for (const level of [1, 3, 19]) {
    const byLibrary = library.compress(plain, level)
    const byWasm = wasm.compress(plain, level)
    t.ok(plain.equals(wasm.decompress(byLibrary, plain.length) ?? Buffer.alloc(0)))
    t.ok(plain.equals(library.decompress(byWasm, plain.length) ?? Buffer.alloc(0)))
    t.equal(library.decompress(byWasm, plain.length - 1), undefined)
  }
})

t.test('refuses levels that there are not', async t => {
  for (const level of [0, 20, 1.5, Number.NaN]) {
    t.throws(
      () => openPackStore(t.testdir(), { compression: { codec: 'zstd', level } }),
      InvalidArgumentError,
    )
  }
})

t.test('verifies what comes in stored form', async t => {
  const { begin } = open(t)
  await using session = await begin()
  const good = item('file', Buffer.from('content'))
  const raw = { ...good, size: 7, codec: 'raw' as const, stored: good.payload }
  for (const bad of [
    { ...raw, stored: Buffer.from('changed') },
    { ...raw, size: 8 },
    { ...raw, codec: 'zstd' as const },
    { ...raw, codec: 'zstd' as const, size: 2 ** 40, stored: Buffer.alloc(100) },
  ]) {
    await t.rejects(session.putStored([bad]), { code: 'corrupt_object' })
  }
  const garbage = item('directory', Buffer.from('garbage'))
  await t.rejects(
    session.putStored([{ ...garbage, size: 7, codec: 'raw', stored: garbage.payload }]),
    { code: 'invalid_object' },
  )
  t.equal((await session.has([good.digest, garbage.digest])).count(), 0)
  await session.putStored([raw])
  t.equal((await session.has([good.digest])).count(), 1)
})

t.test('sees what other processes publish and remove', async t => {
  const { root, store, begin } = open(t)
  using other = openPackStore(root)
  await using session = await begin()
  const content = noise(3 * mebibyte, 1)
  await using writer = await session.stream({ type: 'file', size: content.length })
  await writer.write(content)
  const { digest } = await writer.commit()
  t.equal((await other.has([digest])).count(), 0)
  await session.publish([digest])
  t.equal((await other.has([digest])).count(), 1)
  const stream = await other.open(digest)
  for (const name of readdirSync(join(root, 'packs')))
    unlinkSync(join(root, 'packs', name))
  const absent = item('file', Buffer.from('absent')).digest
  for (const reader of [store, other]) {
    t.equal((await reader.has([absent])).count(), 0)
    await t.rejects(reader.read([digest]), { code: 'object_not_found' })
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  t.ok(Buffer.concat(chunks).equals(content), 'who reads it may go on')
})
