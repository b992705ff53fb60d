import {
  appendFileSync,
  closeSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findAlgorithmByName } from '../../../../lib/object/algorithm.js'
import { digestObject } from '../../../../lib/object/digester.js'
import { DirectCalls, FileState } from '../../../../lib/system/direct-calls.js'
import { makeFifo } from '../../../../lib/system/special-file.js'
import { setXattr } from '../../../../lib/system/xattr.js'
import { BatchReader } from '../../../../lib/tree/source/ahead/batch-reader.js'
import {
  FileBatch,
  maxWholeFileBytes,
} from '../../../../lib/tree/source/ahead/file-batch.js'

const calls = DirectCalls.find()
const skip = calls === undefined && 'needs native calls'

function algorithmOf(name: string) {
  const algorithm = findAlgorithmByName(name)
  if (algorithm === undefined) throw new Error(`no algorithm ${name}`)
  return algorithm
}

/** A batch of files of one folder, as they are now. */
function batchOf(t: Test, folder: string, names: readonly string[]): FileBatch {
  const fd = openSync(folder, 'r')
  t.teardown(() => closeSync(fd))
  const batch = new FileBatch()
  const state = new FileState()
  for (const name of names) {
    t.ok(calls?.seeAt(fd, Buffer.from(name), state), name)
    batch.add(fd, Buffer.from(name), state)
  }
  return batch
}

/** Lets the clock of the filesystem go on, so that no change goes unseen. */
function awaitTick(folder: string): void {
  const probe = join(folder, 'probe')
  const changed = () => {
    writeFileSync(probe, 'probe')
    return statSync(probe, { bigint: true }).ctimeNs
  }
  for (const first = changed(); changed() === first; );
}

function nextDescriptor(): number {
  const fd = openSync('/', 'r')
  closeSync(fd)
  return fd
}

for (const name of ['blake3', 'sha512-256'] as const) {
  t.test(`reads files whole, and digests them by ${name}`, { skip }, async t => {
    const algorithm = algorithmOf(name)
    const contents = ['', 'small', Buffer.alloc(3_000_000, 'large').toString()]
    const folder = t.testdir(Object.fromEntries(contents.map((text, at) => [at, text])))
    const batch = batchOf(t, folder, ['0', '1', '2'])
    t.ok(batch.isFull)
    const digests = BatchReader.find(algorithm)?.read(new FileBatch(batch.shared))
    const payloads = contents.map(text => Buffer.from(text))
    t.strictSame(
      digests,
      payloads.map(payload => digestObject(algorithm, 'file', payload)),
    )
    for (const [index, payload] of payloads.entries()) {
      t.ok(batch.payload(index, payload.length).equals(payload))
    }
  })
}

const changes: Record<string, (path: string) => void> = {
  'has become longer': path => appendFileSync(path, 'more'),
  'has become shorter': path => writeFileSync(path, 'c'),
  'has other bytes': path => writeFileSync(path, 'CONTENT'),
  'has vanished': path => rmSync(path),
  'is another file': path => {
    writeFileSync(`${path}-`, 'content')
    renameSync(`${path}-`, path)
  },
  'is a link': path => {
    rmSync(path)
    symlinkSync('other', path)
  },
  'is a fifo': path => {
    rmSync(path)
    makeFifo(Buffer.from(path))
  },
  'has a second name': path => linkSync(path, `${path}-`),
  'has an attribute': path =>
    setXattr(Buffer.from(path), Buffer.from('user.key'), Buffer.from('value')),
}

for (const [what, change] of Object.entries(changes)) {
  t.test(`leaves a file alone that ${what} since it was seen`, { skip }, async t => {
    const folder = t.testdir({ file: 'content', other: 'content' })
    const batch = batchOf(t, folder, ['file', 'other'])
    awaitTick(folder)
    change(join(folder, 'file'))
    const before = nextDescriptor()
    const algorithm = algorithmOf('blake3')
    t.strictSame(BatchReader.find(algorithm)?.read(batch), [
      undefined,
      digestObject(algorithm, 'file', Buffer.from('content')),
    ])
    t.equal(nextDescriptor(), before, 'no file stays open')
  })
}

t.test('leaves a file alone that had an attribute all the time', { skip }, async t => {
  const folder = t.testdir({ file: 'content' })
  const path = Buffer.from(join(folder, 'file'))
  setXattr(path, Buffer.from('user.key'), Buffer.from('value'))
  const reader = BatchReader.find(algorithmOf('blake3'))
  t.strictSame(reader?.read(batchOf(t, folder, ['file'])), [undefined])
})

t.test('takes no more than there is room for', { skip }, async t => {
  const state = new FileState()
  const sized = (bytes: number) => {
    const folder = t.testdir({ [bytes]: Buffer.alloc(bytes) })
    const fd = openSync(folder, 'r')
    t.teardown(() => closeSync(fd))
    t.ok(calls?.seeAt(fd, Buffer.from(String(bytes)), state))
    return state
  }
  const batch = new FileBatch()
  t.throws(() => batch.add(0, Buffer.from('name'), sized(maxWholeFileBytes + 1)))
  t.throws(() => batch.add(0, Buffer.alloc(256), sized(1)))
  for (let index = 0; index < 512; index++) batch.add(0, Buffer.alloc(255), sized(0))
  t.ok(batch.isFull)
  t.throws(() => batch.add(0, Buffer.from('name'), sized(0)))
  batch.clear()
  t.notOk(batch.isFull)
  batch.add(0, Buffer.from('name'), sized(maxWholeFileBytes))
})
