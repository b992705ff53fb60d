import {
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseDigest } from '../../../../lib/object/digest.js'
import {
  type CheckoutRecord,
  encodeRecord,
  findRecord,
} from '../../../../lib/tree/checkout/update/checkout-record.js'
import {
  findIdentity,
  RecordBook,
} from '../../../../lib/tree/checkout/update/record-book.js'

const application = parseDigest(`0a${'11'.repeat(32)}`)

function recordOf(folder: string, identity: string): CheckoutRecord {
  const spans = [{ start: 5n, end: -7n }]
  return {
    application,
    path: Buffer.from([0xff]),
    folder,
    identity,
    manner: 'self',
    spans,
  }
}

function places(t: Test) {
  const base = t.testdir({ one: {}, two: {}, book: {} })
  const folders = ['one', 'two'].map(name => {
    const path = join(base, name)
    const open = openSync(path, 'r')
    return { path, open, record: recordOf(path, findIdentity(open) ?? 'none') }
  })
  return { base, book: new RecordBook(join(base, 'book')), folders }
}

t.test('a record comes back as it was', async t => {
  const { book, folders } = places(t)
  for (const { record } of folders) book.save(record)
  for (const { path, open, record } of folders) t.same(book.find(path, open), record)
})

t.test('of a damaged record nothing is believed', async t => {
  const { base, book, folders } = places(t)
  const [{ path, open, record } = { path: '', open: -1, record: undefined }] = folders
  if (record === undefined) throw new Error('no folder')
  const bytes = encodeRecord(record) ?? Buffer.alloc(0)
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes)
    damaged[at] = (damaged[at] ?? 0) ^ 0x40
    t.equal(findRecord(damaged), undefined)
    t.equal(findRecord(bytes.subarray(0, at)), undefined)
  }
  book.save(record)
  const [name = ''] = readdirSync(join(base, 'book'))
  truncateSync(join(base, 'book', name), 20)
  t.equal(book.find(path, open), undefined)
})

t.test('forgets folders that are gone or were replaced, and no foreign file', async t => {
  const { base, book, folders } = places(t)
  for (const { record } of folders) book.save(record)
  writeFileSync(join(base, 'book', 'mine'), 'mine')
  const [one, two] = folders
  if (one === undefined || two === undefined) throw new Error('no folders')
  rmSync(one.path, { recursive: true })
  mkdirSync(join(base, 'other'))
  mkdirSync(one.path)
  book.save(two.record)
  t.equal(readdirSync(join(base, 'book')).length, 2)
  t.same(book.find(two.path, two.open), two.record)
  t.equal(readFileSync(join(base, 'book', 'mine'), 'utf8'), 'mine')
})

t.test('keeps the last spans of many', async t => {
  const record = recordOf('/x', 'y')
  const spans = Array.from({ length: 300 }, (_, at) => ({
    start: BigInt(at),
    end: BigInt(at + 1),
  }))
  const found = findRecord(encodeRecord({ ...record, spans }) ?? Buffer.alloc(0))
  t.equal(found?.spans.length, 256)
  t.equal(found?.spans.at(-1)?.end, 300n)
})
