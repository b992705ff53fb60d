import { Writable } from 'node:stream'
import t from 'tap'
import { describeProgress, startProgress } from '../../cli/progress.js'

function captured(columns = 80) {
  const pieces: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      pieces.push(chunk.toString())
      done()
    },
  })
  return { pieces, stream: Object.assign(stream, { columns }) }
}

t.test('says objects, bytes, rate and remaining time', async t => {
  const state = { objects: 50, totalObjects: 100, bytes: 5 << 20, totalBytes: 10 << 20 }
  t.equal(
    describeProgress({ label: 'push', unit: 'object' }, state, 10),
    'push  [##########..........]  50%  50/100 objects  5.0 MiB/10.0 MiB  512.0 KiB/s  0:10 left',
  )
})

t.test('says only what is known without totals', async t => {
  t.equal(
    describeProgress({ label: 'store', unit: 'entry' }, { objects: 1, bytes: 100 }, 2),
    'store  1 entry  100 B  50 B/s',
  )
})

t.test('never says more than everything', async t => {
  const state = { objects: 3, totalObjects: 2, bytes: 9n, totalBytes: 0n }
  t.match(describeProgress({ label: 'pull', unit: 'object' }, state, 1), /100%/)
})

t.test('redraws a bar at most ten times a second, and clears it', async t => {
  const { pieces, stream } = captured()
  let now = 0
  const bar = startProgress(stream, 'store', { kind: 'bar' }, () => now)
  for (; now < 1000; now += 7) bar.update({ objects: now, bytes: now })
  t.ok(pieces.length <= 10, `${pieces.length} drawings in a second`)
  bar[Symbol.dispose]()
  t.equal(pieces.at(-1), '\r\x1b[K')
})

t.test('keeps a bar within the columns of the terminal', async t => {
  const { pieces, stream } = captured(40)
  using bar = startProgress(stream, 'a label of some length', { kind: 'bar' }, () => 0)
  bar.update({ objects: 1e9, bytes: 1e15, totalObjects: 2e9, totalBytes: 2e15 })
  t.equal(pieces[0]?.replace('\r', '').replace('\x1b[K', '').length, 39)
})

t.test('writes a line at the start and one at the end elsewhere', async t => {
  const { pieces, stream } = captured()
  let now = 0
  const lines = startProgress(
    stream,
    'store',
    { kind: 'lines', unit: 'entry' },
    () => now,
  )
  for (; now < 1500; now += 100) lines.update({ objects: 7, bytes: 2048 })
  lines[Symbol.dispose]()
  t.same(pieces, ['store …\n', 'store: 7 entries, 2.0 KiB in 1.5 s\n'])
})

t.test('writes nothing when it is not wanted', async t => {
  const { pieces, stream } = captured()
  using none = startProgress(stream, 'store', { kind: 'none' })
  none.update({ objects: 1, bytes: 1 })
  t.same(pieces, [])
})
