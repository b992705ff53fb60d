import t from 'tap'
import { findAlgorithmByName } from '../../../lib/object/algorithm.js'
import { digestObject } from '../../../lib/object/digester.js'
import { HashingSession } from '../../../lib/tree/source/hashing-session.js'
import { ObjectBatch } from '../../../lib/tree/source/object-batch.js'
import {
  type PendingContent,
  PendingDirectory,
} from '../../../lib/tree/source/pending-directory.js'

const algorithm = findAlgorithmByName('blake3')
if (algorithm === undefined) throw new Error('no algorithm blake3')

const link = { digest: digestObject(algorithm, 'header', Buffer.alloc(18)), size: 18 }
const source = { parent: undefined, name: Buffer.from('/source') }
const folder = { parent: source, name: Buffer.from('folder') }

const noNames = { length: 0, nameBytes: 0, at: () => undefined }

function makeDirectory(
  count: number,
  content: PendingContent,
  nameBytes = 8,
): PendingDirectory {
  const directory = new PendingDirectory(folder, noNames)
  for (let index = 0; index < count; index++) {
    directory.add(Buffer.from(String(index).padStart(nameBytes, '0')), content)
  }
  return directory
}

t.test('refuses a directory that nobody could read back', async t => {
  await using session = new HashingSession(algorithm)
  const batch = new ObjectBatch(session)
  const large = makeDirectory(220_000, { kind: 'fifo', header: { link } }, 255)
  t.throws(() => batch.addDirectory(large), {
    code: 'not_representable',
    message: /^cannot store \/source\/folder: its 220000 entries take too much room/,
    facts: { path: '/source/folder' },
  })
})

t.test('refuses totals that no field holds, naming the folder', async t => {
  await using session = new HashingSession(algorithm)
  const batch = new ObjectBatch(session)
  const totals = { subObjectCount: 0xffff_fff0, subObjectsSize: 0n }
  const full = makeDirectory(2, {
    kind: 'directory',
    header: { link },
    directory: { link, totals },
  })
  t.throws(() => batch.addDirectory(full), {
    code: 'not_representable',
    facts: { path: '/source/folder' },
  })
})

t.test('lets a directory wait for what is in it', async t => {
  await using session = new HashingSession(algorithm)
  const batch = new ObjectBatch(session)
  const header = batch.addHeader(Buffer.alloc(18))
  const inner = makeDirectory(2, { kind: 'socket', header })
  const outer = makeDirectory(1, { kind: 'directory', header, directory: inner.slot })
  batch.addDirectory(outer)
  batch.addDirectory(inner)
  t.equal(outer.slot.link, undefined)
  await batch.flush()
  t.equal(outer.findDirectory(), undefined, 'the inner one is not stored yet')
  await batch.drain()
  t.ok(outer.slot.link)
  t.same(inner.slot.totals, { subObjectCount: 2, subObjectsSize: 36n })
  const kept = await session.has([outer.slot.link?.digest ?? link.digest])
  t.ok(kept.get(0))
})

t.test('is full by objects, by bytes and by entries', async t => {
  await using session = new HashingSession(algorithm)
  const fill: Record<string, (batch: ObjectBatch) => void> = {
    objects: batch => void batch.addHeader(Buffer.alloc(18)),
    bytes: batch => void batch.addFile(batch.room(100_000)),
    entries: batch => batch.countEntry(),
  }
  for (const [name, step] of Object.entries(fill)) {
    const batch = new ObjectBatch(session)
    for (let steps = 0; steps < 10_000 && !batch.isFull; steps++) step(batch)
    t.ok(batch.isFull, name)
    await batch.flush()
    t.notOk(batch.isFull, name)
  }
})
