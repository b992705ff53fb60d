import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import { openRepository } from '../../lib/repository/open.js'
import type { Repository } from '../../lib/repository/repository.js'
import { startRepositoryChild } from '../support/child-process.js'
import {
  makeRepository,
  putSmallTree,
  storeSmallTree,
} from '../support/scratch-repository.js'

const storing = { purpose: 'store', publishing: 'whole' } as const

function leftovers({ root }: Repository): string[] {
  const sessions = readdirSync(join(root, 'sessions')).filter(name => name !== 'counter')
  return [...sessions, ...readdirSync(join(root, 'temp'))]
}

async function countObjects({ objects }: Repository): Promise<number> {
  let count = 0
  for await (const batch of objects.list()) count += batch.length
  return count
}

t.test('has a number above all before, a private folder, and leaves nothing', async t => {
  const repository = await makeRepository(t.testdir())
  const numbers: number[] = []
  for (let count = 0; count < 3; count++) {
    await using session = await repository.begin(storing)
    numbers.push(session.number)
    t.equal(session.folder, join(repository.root, 'temp', `session-${session.number}`))
    t.equal(statSync(session.folder).mode & 0o777, 0o700)
    t.same(await repository.sessions(), [{ number: session.number, state: 'live' }])
  }
  t.same(numbers, [1, 2, 3])
  t.same(leftovers(repository), [])
})

t.test('says what it is for in its file', async t => {
  const repository = await makeRepository(t.testdir())
  await using session = await repository.begin({ ...storing, purpose: 'push' })
  const path = join(repository.root, 'sessions', String(session.number))
  t.same(JSON.parse(readFileSync(path, 'utf8')), {
    number: session.number,
    pid: process.pid,
    purpose: 'push',
  })
})

t.test('may be disposed twice', async t => {
  const repository = await makeRepository(t.testdir())
  const session = await repository.begin(storing)
  await session[Symbol.asyncDispose]()
  await session[Symbol.asyncDispose]()
  t.same(leftovers(repository), [])
})

t.test('shows its objects to others once they are published', async t => {
  const repository = await makeRepository(t.testdir())
  await using session = await repository.begin(storing)
  const { digest } = await putSmallTree(session.objects, 1)
  t.equal((await repository.objects.has([digest])).count(), 0)
  await session.objects.publish([digest])
  t.equal((await repository.objects.has([digest])).count(), 1)
})

t.test('publishes nothing while another holds the lock exclusively', async t => {
  const repository = await makeRepository(t.testdir())
  await using session = await repository.begin({ ...storing, wait: 0 })
  const { digest } = await putSmallTree(session.objects, 1)
  const lock = await repository.lock('exclusive')
  await t.rejects(session.objects.publish([digest]), { code: 'lock_busy' })
  t.equal((await repository.objects.has([digest])).count(), 0)
  await lock[Symbol.asyncDispose]()
  await session.objects.publish([digest])
  t.equal((await repository.objects.has([digest])).count(), 1)
})

t.test('takes the lock for what a gradual session publishes on its way', async t => {
  const repository = await makeRepository(t.testdir())
  const gradual = { purpose: 'pull', publishing: 'gradual', wait: 0 } as const
  await using session = await repository.begin(gradual)
  const batch = Array.from({ length: 5000 }, (_, index) => ({
    type: 'file' as const,
    payload: Buffer.from(`content ${index}`),
  }))
  const lock = await repository.lock('exclusive')
  await t.rejects(session.objects.put(batch), { code: 'lock_busy' })
  t.same(await countObjects(repository), 0)
  await lock[Symbol.asyncDispose]()
  const links = await session.objects.put(batch)
  t.equal(await countObjects(repository), 5000)
  await session.objects.publish(links.map(({ digest }) => digest))
  t.equal(await countObjects(repository), 5000)
})

t.test('writes with the algorithm of the repository unless told otherwise', async t => {
  const repository = await makeRepository(t.testdir(), { algorithm: 'sha256' })
  await using session = await repository.begin(storing)
  t.match((await putSmallTree(session.objects, 1)).digest, /^01/)
  const algorithm = findAlgorithmByName('blake3') ?? repository.config.algorithm
  await using other = await repository.begin({ ...storing, algorithm })
  t.match((await putSmallTree(other.objects, 1)).digest, /^0a/)
})

t.test('is dead when its process was killed, and the next one clears up', async t => {
  const repository = await makeRepository(t.testdir())
  const child = startRepositoryChild(t, 'session', repository.root)
  const number = Number(await child.line())
  t.same(await repository.sessions(), [{ number, state: 'live' }])
  {
    await using session = await repository.begin(storing)
    t.ok(session.number > number)
    t.ok(leftovers(repository).includes(`session-${number}`), 'a live one is left alone')
  }
  await child.kill()
  t.same(await repository.sessions(), [{ number, state: 'dead' }])
  await using session = await repository.begin(storing)
  t.same(leftovers(repository), [String(session.number), `session-${session.number}`])
})

t.test('is cleared up after by who opens for writing, not by who reads', async t => {
  const repository = await makeRepository(t.testdir())
  const child = startRepositoryChild(t, 'session', repository.root)
  await child.line()
  await child.kill()
  await openRepository(repository.root)
  t.equal(leftovers(repository).length, 2)
  await openRepository(repository.root, { access: 'write' })
  t.same(leftovers(repository), [])
})

t.test('gets another number than every other, across processes', async t => {
  const repository = await makeRepository(t.testdir())
  const children = Array.from({ length: 6 }, () =>
    startRepositoryChild(t, 'session', repository.root),
  )
  const numbers = await Promise.all(children.map(child => child.line()))
  t.equal(new Set(numbers).size, 6)
  for (const child of children) child.release()
  await Promise.all(children.map(child => child.end()))
  t.same(leftovers(repository), [])
})

t.test('passes by numbers that are in use when the counter is lost', async t => {
  const repository = await makeRepository(t.testdir())
  await storeSmallTree(repository, 1)
  await using first = await repository.begin(storing)
  for (const lost of ['', 'garbage', '0'.repeat(16)]) {
    writeFileSync(join(repository.root, 'sessions', 'counter'), lost)
    await using second = await repository.begin(storing)
    t.ok(second.number > first.number)
  }
})

t.test('does not take over the folder of one whose file was lost', async t => {
  const repository = await makeRepository(t.testdir())
  mkdirSync(join(repository.root, 'temp', 'session-4'), { recursive: true })
  writeFileSync(join(repository.root, 'temp', 'session-4', 'old'), 'old')
  await using session = await repository.begin(storing)
  t.same(readdirSync(join(repository.root, 'temp')), [`session-${session.number}`])
  t.same(
    readdirSync(session.folder).filter(name => name === 'old'),
    [],
  )
})

t.test('never counts what is no session as one', async t => {
  const repository = await makeRepository(t.testdir())
  mkdirSync(join(repository.root, 'sessions'))
  for (const name of ['notes', '007', '1x']) {
    writeFileSync(join(repository.root, 'sessions', name), '')
  }
  t.same(await repository.sessions(), [])
  await repository.sweep()
  t.equal(readdirSync(join(repository.root, 'sessions')).length, 3)
})

t.test('clears old temporary files of the original program, under the lock', async t => {
  const repository = await makeRepository(t.testdir())
  const temp = join(repository.root, 'temp')
  mkdirSync(temp)
  const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 60 * 60
  for (const name of ['1234', 'replacement', 'notes', '5678']) {
    writeFileSync(join(temp, name), '')
    if (name !== '5678') utimesSync(join(temp, name), twoDaysAgo, twoDaysAgo)
  }
  const lock = await repository.lock('shared')
  await repository.sweep()
  t.same(readdirSync(temp).length, 4, 'not while another is at work')
  await lock[Symbol.asyncDispose]()
  await repository.sweep()
  t.same(readdirSync(temp).toSorted(), ['5678', 'notes'])
})
