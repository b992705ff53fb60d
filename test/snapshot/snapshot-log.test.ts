import {
  appendFileSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseDigest } from '../../lib/object/digest.js'
import { SnapshotLog } from '../../lib/snapshot/metadata/snapshot-log.js'
import {
  decodeSnapshotChange,
  encodeSnapshotChange,
} from '../../lib/snapshot/metadata/snapshot-record.js'
import type { SnapshotRow } from '../../lib/snapshot/metadata/snapshot-row.js'
import { type FileCalls, systemFileCalls } from '../../lib/system/file-calls.js'
import { failingCalls } from '../support/failing-calls.js'
import { key, labels } from '../support/snapshots/subject.js'

const application = parseDigest(`0a${'5c'.repeat(32)}`)

function row(id: number, more: Partial<SnapshotRow> = {}): SnapshotRow {
  return {
    id,
    key: key(`key ${id}`),
    kind: 'committed',
    parent: 0,
    created: 1_700_000_000_123_456_789n,
    updated: -1n,
    labels: labels({}),
    ...more,
  }
}

const open = (path: string, calls: FileCalls = systemFileCalls) =>
  SnapshotLog.open(path, calls)

const keysOf = ({ table }: SnapshotLog): string[] => table.rows().map(each => each.key)

const logPath = (t: Test): string => join(t.testdir({}), 'log')

t.test('reads back every change that it writes', async t => {
  const odd = row(2 ** 40, {
    key: key('\0Ä'),
    kind: 'view',
    parent: 7,
    labels: labels({ a: 'x'.repeat(70_000), 'ü/': '"' }),
  })
  for (const change of [
    { kind: 'put', row: odd },
    { kind: 'put', row: { ...odd, source: { application, layer: 2 ** 39 } } },
    { kind: 'remove', id: 9 },
    { kind: 'usage', id: 9, usage: { size: 2 ** 41, inodes: 3 } },
    { kind: 'ids', last: 12 },
  ] as const) {
    t.same(decodeSnapshotChange(encodeSnapshotChange(change)), change)
  }
})

t.test('keeps its table over a restart, and never gives an id twice', async t => {
  const path = logPath(t)
  {
    await using log = await open(path)
    await log.commit({ kind: 'put', row: row(1) })
    await log.commit({ kind: 'put', row: row(2, { parent: 1, kind: 'active' }) })
    await log.commit({ kind: 'put', row: row(3) })
    await log.commit({ kind: 'remove', id: 3 })
    log.note({ kind: 'usage', id: 1, usage: { size: 5, inodes: 6 } })
  }
  await using log = await open(path)
  t.same(keysOf(log), ['key 1', 'key 2'])
  t.same(log.table.find(key('key 2')), row(2, { parent: 1, kind: 'active' }))
  t.equal(log.table.lastId, 3)
  t.same(log.table.usage(1), { size: 5, inodes: 6 })
  t.ok(log.table.hasChildren(1))
})

t.test('syncs once for changes that are made at the same time', async t => {
  let syncs = 0
  const sync = async (fd: number): Promise<void> => {
    syncs += 1
    await systemFileCalls.sync(fd)
  }
  await using log = await open(logPath(t), { ...systemFileCalls, sync })
  const before = syncs
  await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      log.commit({ kind: 'put', row: row(index + 1) }),
    ),
  )
  t.equal(syncs - before, 1)
  t.equal(log.table.size, 50)
})

t.test('cuts off what a crash left of the last change', async t => {
  const path = logPath(t)
  {
    await using log = await open(path)
    await log.commit({ kind: 'put', row: row(1) })
    await log.commit({ kind: 'put', row: row(2) })
  }
  const whole = readFileSync(path)
  const second = whole.length / 2
  for (let size = second; size < whole.length; size++) {
    writeFileSync(path, whole)
    truncateSync(path, size)
    {
      await using log = await open(path)
      t.same(keysOf(log), ['key 1'], `${size} bytes`)
      await log.commit({ kind: 'put', row: row(3) })
    }
    await using again = await open(path)
    t.same(keysOf(again), ['key 1', 'key 3'])
  }
})

t.test('refuses a log that is damaged before its end', async t => {
  const path = logPath(t)
  {
    await using log = await open(path)
    for (const id of [1, 2, 3]) await log.commit({ kind: 'put', row: row(id) })
  }
  const whole = readFileSync(path)
  for (let at = 0; at < (whole.length / 3) * 2; at += 7) {
    const damaged = Buffer.from(whole)
    damaged[at] = (damaged[at] ?? 0) ^ 0x40
    writeFileSync(path, damaged)
    await t.rejects(open(path), { code: 'invalid_snapshot_root' }, `byte ${at}`)
    t.same(readFileSync(path), damaged, 'and leaves it as it is')
  }
})

t.test('refuses changes that cannot follow each other', async t => {
  const path = logPath(t)
  const write = async (rows: readonly SnapshotRow[]): Promise<void> => {
    writeFileSync(path, '')
    await using log = await open(path)
    for (const each of rows) await log.commit({ kind: 'put', row: each })
  }
  await write([row(1, { parent: 5 })])
  await t.rejects(open(path), { code: 'invalid_snapshot_root' }, 'no such parent')
  await write([row(1, { kind: 'active' }), row(2, { parent: 1 })])
  await t.rejects(open(path), { code: 'invalid_snapshot_root' }, 'no committed parent')
  await write([row(1, { parent: 2 }), row(2, { parent: 1 })])
  await t.rejects(open(path), { code: 'invalid_snapshot_root' }, 'a ring')
})

t.test('is written anew when it has grown', async t => {
  const path = logPath(t)
  {
    await using log = await open(path)
    await log.commit({ kind: 'put', row: row(1) })
    for (let turn = 0; turn < 5; turn++) {
      await Promise.all(
        Array.from({ length: 600 }, (_, index) =>
          log.commit({ kind: 'put', row: row(1, { updated: BigInt(index) }) }),
        ),
      )
    }
    t.ok(statSync(path).size < 700 * 100, 'no 3000 records')
  }
  await using log = await open(path)
  t.same(keysOf(log), ['key 1'])
  t.equal(log.table.find(key('key 1'))?.updated, 599n)
})

t.test('holds what it answered, whichever call fails', async t => {
  for (let nth = 1; ; nth++) {
    const path = join(t.testdir({}), 'log')
    const { calls, failed } = failingCalls(nth)
    const done = new Set<number>()
    try {
      await using log = await open(path, calls)
      for (let id = 1; id <= 5; id++) {
        try {
          await log.commit({ kind: 'put', row: row(id) })
          done.add(id)
        } catch (error) {
          t.match(error, { code: 'EIO' })
          t.notOk(log.table.findById(id), 'a change that failed does not show')
        }
      }
    } catch (error) {
      t.match(error, { code: 'EIO' })
    }
    if (failed() === undefined) break
    await using log = await open(path)
    for (const id of done) t.ok(log.table.findById(id), `${failed()} keeps ${id}`)
    t.ok(log.table.size >= done.size)
  }
})

t.test('writes the log anew after a sync that failed', async t => {
  const path = logPath(t)
  let fail = false
  const sync = async (fd: number): Promise<void> => {
    if (fail) throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'fsync' })
    await systemFileCalls.sync(fd)
  }
  await using log = await open(path, { ...systemFileCalls, sync })
  await log.commit({ kind: 'put', row: row(1) })
  const { ino } = statSync(path)
  fail = true
  await t.rejects(log.commit({ kind: 'put', row: row(2) }), { code: 'EIO' })
  fail = false
  await log.commit({ kind: 'put', row: row(3) })
  t.not(statSync(path).ino, ino, 'another file')
  t.same(keysOf(log), ['key 1', 'key 3'])
})

t.test('takes a tail of zeros for a write that never came', async t => {
  const path = logPath(t)
  {
    await using log = await open(path)
    await log.commit({ kind: 'put', row: row(1) })
  }
  appendFileSync(path, Buffer.alloc(4096))
  await using log = await open(path)
  t.same(keysOf(log), ['key 1'])
})

t.test('folds ten thousand snapshots in well under a second', async t => {
  const path = logPath(t)
  {
    await using log = await open(path)
    await Promise.all(
      Array.from({ length: 10_000 }, (_, index) =>
        log.commit({ kind: 'put', row: row(index + 1, { labels: labels({ a: 'b' }) }) }),
      ),
    )
  }
  const start = performance.now()
  await using log = await open(path)
  t.equal(log.table.rows().length, 10_000)
  t.ok(performance.now() - start < 1000)
})
