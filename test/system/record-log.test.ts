import { closeSync, ftruncateSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { systemFileCalls } from '../../lib/system/file-calls.js'
import {
  appendRecords,
  maxRecordBytes,
  type RecordLogEnd,
  readRecords,
} from '../../lib/system/record-log.js'

const calls = systemFileCalls

function openLog(t: Test): { fd: number; path: string } {
  const path = join(t.testdir(), 'log')
  const fd = calls.openLog(path)
  t.teardown(() => closeSync(fd))
  return { fd, path }
}

function readAll(fd: number): { bodies: Buffer[]; end: RecordLogEnd } {
  const records = readRecords(fd)
  const bodies: Buffer[] = []
  let next = records.next()
  for (; next.done !== true; next = records.next()) bodies.push(next.value)
  return { bodies, end: next.value }
}

async function append(fd: number, bodies: readonly Uint8Array[]): Promise<void> {
  await appendRecords(fd, readAll(fd).end, { bodies, calls })
}

t.test('frames a record as length, body, CRC-32 over both', async t => {
  const { fd, path } = openLog(t)
  await append(fd, [Buffer.from('abc')])
  // CRC-32 computed with another program: python3 -c 'zlib.crc32(b"\3\0\0\0abc")'.
  t.equal(readFileSync(path).toString('hex'), '03000000616263335de166')
})

t.test('reads back records of every size in order', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 100_000, size: 'max' }), {
        maxLength: 8,
      }),
      async records => {
        const { fd } = openLog(t)
        ftruncateSync(fd)
        for (const record of records) await append(fd, [record])
        const { bodies, end } = readAll(fd)
        t.equal(end.kind, 'whole')
        t.ok(Buffer.concat(bodies).equals(Buffer.concat(records)))
        t.equal(bodies.length, records.length)
      },
    ),
    { numRuns: 20 },
  )
})

t.test('takes a record cut at any byte for torn, and cuts it off', async t => {
  const { fd, path } = openLog(t)
  await append(fd, [Buffer.from('first')])
  const { size } = statSync(path)
  await append(fd, [Buffer.from('second')])
  const whole = readFileSync(path)
  for (let length = size + 1; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length))
    const { bodies, end } = readAll(fd)
    t.same(bodies.map(String), ['first'])
    t.same(end, { kind: 'torn', offset: size })
    await append(fd, [Buffer.from('third')])
    t.same(readAll(fd).bodies.map(String), ['first', 'third'])
  }
})

t.test('takes zeros behind the last record for torn', async t => {
  const { fd, path } = openLog(t)
  await append(fd, [Buffer.from('first')])
  const { size } = statSync(path)
  ftruncateSync(fd, size + 70_000)
  t.same(readAll(fd).end, { kind: 'torn', offset: size })
})

t.test('takes a wrong last checksum for torn, one in the middle for damage', async t => {
  const { fd, path } = openLog(t)
  await append(fd, [Buffer.from('first')])
  const { size } = statSync(path)
  await append(fd, [Buffer.from('second')])
  const bytes = readFileSync(path)
  const last = Buffer.from(bytes)
  last.writeUInt8(last.readUInt8(size + 5) ^ 1, size + 5)
  writeFileSync(path, last)
  t.same(readAll(fd).end, { kind: 'torn', offset: size })
  const middle = Buffer.from(bytes)
  middle.writeUInt8(middle.readUInt8(5) ^ 1, 5)
  writeFileSync(path, middle)
  t.same(readAll(fd), { bodies: [], end: { kind: 'damaged', offset: 0 } })
})

t.test('never takes a huge length for a record, nor reads so much', async t => {
  const { fd, path } = openLog(t)
  const bytes = Buffer.alloc(64, 0x41)
  bytes.writeUInt32LE(0xffff_ffff)
  writeFileSync(path, bytes)
  t.same(readAll(fd), { bodies: [], end: { kind: 'damaged', offset: 0 } })
})

t.test('refuses bodies that could not be read back', async t => {
  const { fd } = openLog(t)
  await t.rejects(append(fd, [Buffer.alloc(0)]), RangeError)
  await t.rejects(append(fd, [Buffer.alloc(maxRecordBytes + 1)]), RangeError)
})

t.test('leaves the log as it was when a write or a sync fails', async t => {
  const { fd, path } = openLog(t)
  await append(fd, [Buffer.from('first')])
  const before = readFileSync(path)
  const failure = new Error('no more')
  const short = {
    ...calls,
    write: (to: number, bytes: Uint8Array): number => {
      calls.write(to, bytes.subarray(0, 3))
      throw failure
    },
  }
  const unsynced = { ...calls, sync: () => Promise.reject(failure) }
  for (const failing of [short, unsynced]) {
    const { end } = readAll(fd)
    const bodies = [Buffer.from('second')]
    await t.rejects(appendRecords(fd, end, { bodies, calls: failing }), failure)
    t.ok(readFileSync(path).equals(before))
  }
})

t.test('leaves a torn record when even cutting back fails', async t => {
  const { fd } = openLog(t)
  await append(fd, [Buffer.from('first')])
  const { end } = readAll(fd)
  const failing = {
    ...calls,
    write: (to: number, bytes: Uint8Array): number => {
      calls.write(to, bytes.subarray(0, 3))
      throw new Error('no more')
    },
    truncate: (): void => {
      throw new Error('nor this')
    },
  }
  const bodies = [Buffer.from('second')]
  await t.rejects(appendRecords(fd, end, { bodies, calls: failing }), {
    message: 'no more',
  })
  t.same(readAll(fd).end, { kind: 'torn', offset: end.offset })
})
