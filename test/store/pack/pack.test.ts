import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { CairnError } from '../../../lib/errors.js'
import { algorithms } from '../../../lib/object/algorithm.js'
import type { Digest } from '../../../lib/object/digest.js'
import { digestObject } from '../../../lib/object/digester.js'
import type { ObjectType } from '../../../lib/object/object-type.js'
import { systemPackCalls } from '../../../lib/store/pack/pack-calls.js'
import { PackFile } from '../../../lib/store/pack/pack-file.js'
import { alignment, packHeaderBytes } from '../../../lib/store/pack/pack-format.js'
import { PackWriter } from '../../../lib/store/pack/pack-writer.js'
import {
  decodeSegmentHeader,
  decodeSegmentTable,
  segmentHeaderBytes,
} from '../../../lib/store/pack/segment.js'

type Item = { type: ObjectType; payload: Buffer; digest: Digest }

function item(type: ObjectType, payload: Buffer, algorithm = 10): Item {
  const found = algorithms[algorithm]
  if (found === undefined) throw new Error(`no algorithm ${algorithm}`)
  return { type, payload, digest: digestObject(found, type, payload) }
}

async function writePack(path: string, items: readonly Item[]): Promise<void> {
  const writer = new PackWriter(path, systemPackCalls)
  for (const { type, payload, digest } of items) {
    if (payload.length > 1024 * 1024) {
      const large = writer.startLarge(type, payload.length, digest)
      large.write(payload.subarray(0, 1000), 0)
      large.write(payload.subarray(1000), 1000)
      large.finish(digest)
    } else {
      writer.add(digest, type, payload.length, { codec: 'raw', bytes: payload })
    }
  }
  await writer.seal()
}

/** Walks a pack from front to back, as a reader of a stream would. */
function* segments(bytes: Buffer, end: number) {
  for (let start = packHeaderBytes; start < end; ) {
    const header = decodeSegmentHeader(
      bytes.subarray(start, start + segmentHeaderBytes),
      'here',
    )
    if (header.kind === 'end') throw new Error('the end mark stands too early')
    const head = bytes.subarray(start, start + segmentHeaderBytes + header.tableBytes)
    const places = decodeSegmentTable(head, { start, aligned: true, where: 'here' })
    yield { start, head, places }
    start += head.length + header.payloadBytes
  }
}

const mixed = [
  item('file', Buffer.alloc(0)),
  item('file', Buffer.from('small')),
  item('file', Buffer.alloc(20_000, 'aligned')),
  item('header', Buffer.alloc(18, 1)),
  item('file', Buffer.from('of another algorithm'), 5),
  item('file', Buffer.from('of the longest digest'), 9),
  item('file', Buffer.alloc(3 * 1024 * 1024 + 17, 'large')),
  item('directory', Buffer.alloc(4)),
  item('file', Buffer.alloc(16 * 1024, 'just aligned')),
]

t.test('finds every object through the trailer, and nothing else', async t => {
  const path = join(t.testdir(), 'one.pack')
  await writePack(path, mixed)
  const pack = PackFile.open(path)
  t.equal(pack.index.count, mixed.length)
  for (const { type, payload, digest } of mixed) {
    const place = pack.find(digest)
    t.match(place, {
      type,
      codec: 'raw',
      size: payload.length,
      storedSize: payload.length,
    })
    t.ok(place && pack.read(place.offset, place.size).equals(payload))
  }
  t.equal(pack.find(item('file', Buffer.from('absent')).digest), undefined)
  t.equal(pack.find(item('file', Buffer.from('absent'), 2).digest), undefined)
  const listed = [...pack.index.places()].map(({ digest }) => digest)
  t.same(listed, mixed.map(({ digest }) => digest).toSorted())
  pack.retire()
})

t.test('reads front to back without the trailer', async t => {
  const path = join(t.testdir(), 'one.pack')
  await writePack(path, mixed)
  const bytes = readFileSync(path)
  const pack = PackFile.open(path)
  const found = [...segments(bytes, pack.segmentsEnd)].flatMap(({ places }) => places)
  t.same(
    found.map(({ digest }) => digest).toSorted(),
    mixed.map(({ digest }) => digest).toSorted(),
  )
  for (const place of found) t.same(place, { ...pack.find(place.digest) })
  pack.retire()
})

t.test('aligns raw files from 16 KiB on, with zeros up to the next unit', async t => {
  const path = join(t.testdir(), 'one.pack')
  await writePack(path, mixed)
  const bytes = readFileSync(path)
  const pack = PackFile.open(path)
  for (const { type, payload, digest } of mixed) {
    const place = pack.find(digest)
    if (place === undefined || type !== 'file' || payload.length < 16 * 1024) continue
    t.equal(place.offset % alignment, 0)
    const end = place.offset + place.size
    const filled = Math.ceil(end / alignment) * alignment
    t.ok(bytes.subarray(end, filled).every(byte => byte === 0))
  }
  pack.retire()
})

t.test('keeps an object that is added twice once', async t => {
  const path = join(t.testdir(), 'one.pack')
  const twice = item('file', Buffer.from('twice'))
  await writePack(path, [twice, ...mixed, twice])
  const pack = PackFile.open(path)
  t.equal(pack.index.count, mixed.length + 1)
  pack.retire()
})

t.test('refuses every file that was cut or has a changed trailer', async t => {
  const folder = t.testdir()
  const path = join(folder, 'one.pack')
  await writePack(path, mixed.slice(0, 4))
  const bytes = readFileSync(path)
  const other = join(folder, 'other.pack')
  const pack = PackFile.open(path)
  const from = pack.segmentsEnd
  pack.retire()
  const refuses = (damaged: Buffer, what: string): void => {
    writeFileSync(other, damaged)
    try {
      PackFile.open(other).retire()
      t.fail(`opened with ${what}`)
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
    }
  }
  for (let length = 0; length < bytes.length; length += 97) {
    refuses(bytes.subarray(0, length), `${length} bytes`)
  }
  for (let offset = from; offset < bytes.length; offset++) {
    const damaged = Buffer.from(bytes)
    damaged[offset] = (damaged[offset] ?? 0) ^ 0x40
    refuses(damaged, `byte ${offset} changed`)
  }
})

t.test('throws only our errors on any segment bytes', async t => {
  const path = join(t.testdir(), 'one.pack')
  await writePack(path, mixed)
  const bytes = readFileSync(path)
  const pack = PackFile.open(path)
  const heads = [...segments(bytes, pack.segmentsEnd)]
  pack.retire()
  fc.assert(
    fc.property(fc.nat(heads.length - 1), fc.nat(), fc.nat(255), (which, where, byte) => {
      const { head, start } = heads[which] ??
        heads[0] ?? { head: Buffer.alloc(24), start: 0 }
      const damaged = Buffer.from(head)
      const at = where % damaged.length
      if (damaged[at] === byte) return
      damaged[at] = byte
      try {
        decodeSegmentTable(damaged, { start, aligned: true, where: 'here' })
        throw new Error('a damaged head was accepted')
      } catch (error) {
        if (!(error instanceof CairnError)) throw error
      }
    }),
    { numRuns: 2000 },
  )
})

t.test('spreads and finds thousands of objects', async t => {
  const path = join(t.testdir(), 'many.pack')
  const many = Array.from({ length: 30_000 }, (_, index) =>
    item('file', Buffer.from(`${index}`)),
  )
  await writePack(path, many)
  const pack = PackFile.open(path)
  t.ok(many.every(({ digest }) => pack.find(digest) !== undefined))
  const some = many[7]
  if (some === undefined) return
  t.same(
    [...pack.index.places(some.digest.slice(0, 12))].map(({ digest }) => digest),
    [some.digest],
  )
  pack.retire()
})
