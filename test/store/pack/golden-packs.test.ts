import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Digest } from '../../../lib/object/digest.js'
import type { ObjectType } from '../../../lib/object/object-type.js'
import { parseTagName } from '../../../lib/object/tag-name.js'
import { readBundle, writeBundle } from '../../../lib/store/pack/bundle.js'
import { MultiIndex } from '../../../lib/store/pack/multi-index.js'
import { writeMultiIndex } from '../../../lib/store/pack/multi-index-writer.js'
import { systemPackCalls as calls } from '../../../lib/store/pack/pack-calls.js'
import { PackFile } from '../../../lib/store/pack/pack-file.js'
import { PackFolder } from '../../../lib/store/pack/pack-folder.js'
import { readPayload } from '../../../lib/store/pack/pack-payload.js'
import { readPackStream } from '../../../lib/store/pack/pack-stream-reader.js'
import { PackWriter } from '../../../lib/store/pack/pack-writer.js'
import { findZstd, loadZstd, type Zstd } from '../../../lib/store/pack/zstd.js'
import { item } from '../../support/stored-objects.js'

const folder = fileURLToPath(new URL('../../../../fixtures/packs/', import.meta.url))
const facts = JSON.parse(readFileSync(join(folder, 'packs.json'), 'utf8')) as {
  objects: { name: string; type: ObjectType; digest: Digest; size: number }[]
  packs: Record<string, string[]>
  malformed: { file: string; read: 'file' | 'stream'; code: string }[]
}
const options = { where: 'here', zstd: loadZstd, verify: 'digests' } as const

const header = Buffer.from('a40100000000000000000000000000000000', 'hex')
const items = new Map([
  ['empty file', item('file', Buffer.alloc(0))],
  ['small file', item('file', Buffer.from('hello, pack\n'))],
  ['header', item('header', header)],
  ['empty directory', item('directory', Buffer.alloc(4))],
  ['SHA512/256', item('file', Buffer.from('of version 1'), 5)],
  ['SHA3-512', item('file', Buffer.from('of the longest digest'), 9)],
  ['just not aligned', item('file', Buffer.alloc(16_383, 'n'))],
  ['just aligned', item('file', Buffer.alloc(16_384, 'a'))],
  ['aligned and filled', item('file', Buffer.alloc(16_385, 'f'))],
  ['one frame', item('file', Buffer.alloc(5000, 'zstd '))],
  ['three frames', item('file', Buffer.alloc(2 * 1024 * 1024 + 7, 'frames '))],
  ['alone in its segment', item('file', Buffer.alloc(20_000, 'large'))],
])

function itemsOf(pack: string) {
  return (facts.packs[pack] ?? []).map(name => {
    const found = items.get(name)
    if (found === undefined) throw new Error(`no item ${name}`)
    return found
  })
}

async function* bytesOf(name: string): AsyncGenerator<Uint8Array> {
  yield readFileSync(join(folder, name))
}

async function writePack(path: string, pack: string): Promise<void> {
  const writer = new PackWriter(path, calls)
  for (const { type, payload, digest } of itemsOf(pack)) {
    if (payload.includes('large')) {
      const large = writer.startLarge(type, payload.length, digest)
      large.write(payload, 0)
      large.finish(digest)
    } else writer.add(digest, type, payload.length, { codec: 'raw', bytes: payload })
  }
  await writer.seal()
}

t.test('names the objects that the tests make', async t => {
  for (const { name, type, digest, size } of facts.objects) {
    const { payload, ...made } = items.get(name) ?? item('file', Buffer.alloc(0))
    t.same({ ...made, size: payload.length }, { type, digest, size }, name)
  }
})

for (const pack of ['raw.pack', 'tiny.pack']) {
  t.test(`writes ${pack} byte for byte`, async t => {
    const path = join(t.testdir(), pack)
    await writePack(path, pack)
    t.ok(readFileSync(path).equals(readFileSync(join(folder, pack))))
  })
}

for (const name of ['library', 'wasm'] as const) {
  const zstd: Zstd | undefined = await findZstd(name)
  const skip = zstd === undefined ? `no zstd by ${name}` : false

  t.test(`reads every sealed pack, zstd by ${name}`, { skip }, async t => {
    for (const file of ['raw.pack', 'tiny.pack', 'zstd.pack']) {
      const pack = PackFile.open(join(folder, file))
      t.equal(pack.index.count, itemsOf(file).length)
      for (const { digest, payload, type } of itemsOf(file)) {
        const place = pack.find(digest)
        t.ok(place, `${digest} in ${file}`)
        if (place === undefined) continue
        const found = readPayload({ pack, place }, zstd)
        t.equal(found.type, type)
        t.ok(found.payload.equals(payload))
      }
      pack.checkTrailer()
      pack.retire()
    }
  })
}

t.test('reads every pack from front to back', async t => {
  for (const file of ['raw.pack', 'tiny.pack', 'zstd.pack', 'stream.pack']) {
    const found: Digest[] = []
    for await (const part of readPackStream(bytesOf(file), options)) {
      if (part.kind === 'large') found.push(part.record.digest)
      else found.push(...part.objects.map(({ digest }) => digest))
    }
    const expected = itemsOf(file).map(({ digest }) => digest)
    t.same(found.toSorted(), expected.toSorted(), file)
  }
})

t.test('reads and writes the bundle', async t => {
  const { head, parts } = await readBundle(bytesOf('one.bundle'), options)
  const [only] = itemsOf('one.bundle')
  t.match(head, { roots: [{ digest: only?.digest, type: 'directory', size: 4 }] })
  t.same(head.tags, [{ name: parseTagName('golden'), root: 0 }])
  for await (const part of parts) t.match(part, { objects: [{ stored: only?.payload }] })
  if (only === undefined) return
  const { type, digest, payload } = only
  const stored = { type, digest, size: 4, storedSize: 4, crc: 0, stored: payload }
  const source = {
    readStored: async () => [{ ...stored, codec: 'raw' as const }],
    storedSizes: async () => [4],
  }
  const written: Uint8Array[] = []
  for await (const bytes of writeBundle(head, [[digest]], source)) written.push(bytes)
  t.ok(Buffer.concat(written).equals(readFileSync(join(folder, 'one.bundle'))))
})

t.test('reads and writes the merged index', async t => {
  const root = t.testdir({ packs: {}, temp: {} })
  mkdirSync(join(root, 'packs'), { recursive: true })
  const packs = ['raw.pack', 'tiny.pack', 'zstd.pack']
  for (const pack of packs) copyFileSync(join(folder, pack), join(root, 'packs', pack))
  using multi = MultiIndex.open(join(folder, 'multi'))
  multi.check()
  for (const pack of packs) {
    for (const { digest } of itemsOf(pack)) {
      t.ok(multi.find(digest).some(place => place.pack === pack))
    }
  }
  using there = new PackFolder(join(root, 'packs'))
  await writeMultiIndex(there, { temp: join(root, 'temp'), calls })
  t.ok(
    readFileSync(join(root, 'packs/multi')).equals(readFileSync(join(folder, 'multi'))),
  )
})

for (const { file, read, code } of facts.malformed) {
  t.test(`refuses ${file}`, async t => {
    if (read === 'file') {
      t.throws(() => PackFile.open(join(folder, file)), { code })
      return
    }
    await t.rejects(
      async () => {
        for await (const _ of readPackStream(bytesOf(file), options));
      },
      { code },
    )
  })
}
