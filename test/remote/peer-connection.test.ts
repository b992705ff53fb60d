import { EventEmitter, once } from 'node:events'
import { Duplex } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { PeerConnection } from '../../lib/remote/peer-connection.js'
import { makeDuplexPair } from '../support/duplex-pair.js'

t.test('reads exactly as many bytes as asked, however they come', async t => {
  const [ours, theirs] = makeDuplexPair(4)
  await using peer = new PeerConnection(ours)
  theirs.end('hello, world')
  t.equal((await peer.read(5, 'a word')).toString(), 'hello')
  t.equal((await peer.read(0, 'nothing')).length, 0)
  t.equal((await peer.read(7, 'the rest')).toString(), ', world')
  t.equal(await peer.atEnd(), true)
  await t.rejects(peer.read(1, 'more'), {
    code: 'connection_lost',
    message: 'connection closed after 0 of 1 bytes of more',
  })
})

t.test('holds bytes that come one by one in little more than their number', async t => {
  const length = 100_000
  let sent = 0
  const source = new EventEmitter()
  const ours = new Duplex({
    read() {
      if (sent++ === length) source.emit('dry')
      else setImmediate(() => this.push(Buffer.allocUnsafeSlow(1)))
    },
  })
  await using peer = new PeerConnection(ours)
  const before = memoryInUse()
  const reading = peer.read(length + 1, 'an object')
  await once(source, 'dry')
  t.ok(memoryInUse() - before < 8_000_000)
  ours.push('!')
  t.equal((await reading).at(-1), 0x21)
})

t.test('throws the error of the stream, with its cause', async t => {
  const [ours] = makeDuplexPair()
  await using peer = new PeerConnection(ours)
  const reading = peer.read(1, 'anything')
  const cause = new Error('wire cut')
  ours.destroy(cause)
  await t.rejects(reading, { code: 'connection_lost', cause })
  await t.rejects(peer.write(Buffer.of(1)), { code: 'connection_lost', cause })
})

t.test('ends pending reads and writes alike when it fails', async t => {
  const [ours] = makeDuplexPair(16)
  const peer = new PeerConnection(ours)
  const reading = peer.read(1, 'anything')
  const writing = peer.write(Buffer.alloc(2_000_000))
  const error = new Error('given up')
  peer.fail(error)
  peer.fail(new Error('later'))
  await t.rejects(reading, error)
  await t.rejects(writing, error)
  t.equal(ours.destroyed, true)
})

t.test('refuses to begin on a closed stream or with an aborted signal', async t => {
  const [ours, theirs] = makeDuplexPair()
  ours.destroy()
  await t.rejects(new PeerConnection(ours).read(1, 'anything'), {
    code: 'connection_lost',
  })
  const signal = AbortSignal.abort(new Error('before'))
  await t.rejects(new PeerConnection(theirs, { signal }).read(1, 'anything'), {
    message: 'before',
  })
})

t.test('gives up on a silent peer', async t => {
  const [ours] = makeDuplexPair()
  await using peer = new PeerConnection(ours, { idleTimeoutMs: 30 })
  await t.rejects(peer.read(1, 'anything'), { code: 'timed_out', message: /silent/ })
})

t.test('gives up on a peer that takes nothing', async t => {
  const [ours] = makeDuplexPair(16)
  await using peer = new PeerConnection(ours, { idleTimeoutMs: 30 })
  await t.rejects(peer.write(Buffer.alloc(2_000_000)), { code: 'timed_out' })
})

t.test('gives up on a peer that sends a byte now and then for ever', async t => {
  const [ours, theirs] = makeDuplexPair()
  await using peer = new PeerConnection(ours, {
    idleTimeoutMs: 200,
    minimumBytesPerSecond: 1000,
  })
  const dripping = setInterval(() => theirs.write(Buffer.of(0)), 10)
  await t.rejects(peer.read(1_000_000, 'an object'), {
    code: 'timed_out',
    message: /too slow: expected at least 200 bytes/,
  })
  clearInterval(dripping)
})

t.test('lets a peer be slow that keeps the minimum', async t => {
  const [ours, theirs] = makeDuplexPair()
  await using peer = new PeerConnection(ours, {
    idleTimeoutMs: 100,
    minimumBytesPerSecond: 100,
  })
  const dripping = setInterval(() => theirs.write(Buffer.alloc(20)), 10)
  t.equal((await peer.read(600, 'an object')).length, 600)
  clearInterval(dripping)
})

t.test('does not count time in which nothing waits for the peer', async t => {
  const [ours, theirs] = makeDuplexPair()
  await using peer = new PeerConnection(ours, { idleTimeoutMs: 40 })
  const first = peer.read(1, 'a byte')
  theirs.write('a')
  await first
  const busyUntil = performance.now() + 80
  while (performance.now() < busyUntil)
    await new Promise(resolve => setImmediate(resolve))
  const second = peer.read(1, 'a byte')
  theirs.write('b')
  t.equal((await second).toString(), 'b')
})

t.test('waits longer where it is told to, and no longer afterwards', async t => {
  const [ours] = makeDuplexPair()
  await using peer = new PeerConnection(ours, { idleTimeoutMs: 20 })
  peer.setPatience(60_000)
  const reading = peer.read(1, 'anything')
  peer.setPatience()
  await t.rejects(reading, { code: 'timed_out' })
})

t.test('closes within its time when the peer never stops', async t => {
  const [ours, theirs] = makeDuplexPair()
  const peer = new PeerConnection(ours)
  theirs.on('error', () => undefined)
  const flood = (): void => {
    while (!theirs.destroyed && theirs.write(Buffer.alloc(65_536))) continue
  }
  theirs.on('drain', flood)
  flood()
  await peer.close()
  t.equal(ours.destroyed, true)
})

t.test('reads what came before an orderly end after the stream is closed', async t => {
  const stream = new Duplex({ read: () => undefined, write: (_, __, done) => done() })
  const peer = new PeerConnection(stream)
  stream.push('ab')
  stream.push(null)
  t.equal((await peer.read(1, 'a byte')).toString(), 'a')
  stream.end()
  await new Promise(resolve => {
    stream.once('close', resolve)
  })
  t.equal((await peer.read(1, 'a byte')).toString(), 'b')
  t.equal(await peer.atEnd(), true)
  await t.rejects(peer.write(Buffer.of(1)), { code: 'connection_lost' })
})

/** Bytes that are still reachable. */
function memoryInUse(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
