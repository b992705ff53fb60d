import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Digest } from '../../lib/object/digest.js'
import { keepersOf } from '../../lib/repository/gc/keepers.js'
import { openRepository } from '../../lib/repository/open.js'
import type { Repository } from '../../lib/repository/repository.js'
import { CondemnedList } from '../../lib/store/pack/condemned-list.js'
import { type PackCalls, systemPackCalls } from '../../lib/store/pack/pack-calls.js'
import { PackFile } from '../../lib/store/pack/pack-file.js'
import {
  makePackedRepository,
  problemsOf,
  putFiles,
  storeFiles,
} from '../support/packed-repository.js'
import { makeRepository } from '../support/scratch-repository.js'

const hour = 60 * 60 * 1000

async function has({ root }: Repository, digest: Digest): Promise<boolean> {
  // One that was open before may go on with what it knows.
  const { objects } = await openRepository(root)
  return (await objects.has([digest])).get(0)
}

t.test(
  'keeps what roots lead to, and hides the rest until its time has come',
  async t => {
    const repository = await makePackedRepository(t.testdir())
    const kept = await storeFiles(repository, ['one', 'two'], 'app')
    const lost = await storeFiles(repository, ['two', 'three'])
    const now = Date.now()
    const first = await repository.gc({ now })
    t.strictSame(first.garbage.objects, 3, 'application, directory, file')
    t.equal(first.freedBytes, 0)
    t.equal(await has(repository, lost.digest), false)
    t.equal(await has(repository, kept.digest), true)
    const second = await repository.gc({ now: now + 23 * hour })
    t.equal(second.trash.objects, 3)
    t.equal(second.garbage.objects, 0)
    const third = await repository.gc({ now: now + 25 * hour })
    t.equal(third.trash.objects, 0)
    t.ok(third.freedBytes > 0)
    t.strictSame(await problemsOf(repository), [])
    t.equal(readdirSync(join(repository.root, 'packs')).length, 1)
  },
)

t.test('brings back what is in the trash', async t => {
  const repository = await makePackedRepository(t.testdir())
  const lost = await storeFiles(repository, ['one', 'two'])
  await repository.gc()
  t.equal(await has(repository, lost.digest), false)
  const report = await repository.gc({ action: 'undo' })
  t.equal(report.restored.objects, 6)
  t.equal(await has(repository, lost.digest), true)
  await repository.tags.set('again', lost)
  t.strictSame(await problemsOf(repository), [])
  await repository.gc({ grace: 0 })
  t.strictSame(await problemsOf(repository), [])
})

t.test('changes nothing when it only tells', async t => {
  const repository = await makePackedRepository(t.testdir())
  const lost = await storeFiles(repository, ['one', 'two'])
  const report = await repository.gc({ action: 'dry-run', grace: 0 })
  t.equal(report.garbage.objects, 6)
  t.equal(await has(repository, lost.digest), true)
  t.equal(readdirSync(join(repository.root, 'packs')).length, 1)
})

t.test('keeps what a removed tag named within its log', async t => {
  const repository = await makePackedRepository(t.testdir())
  const kept = await storeFiles(repository, ['one'], 'app')
  await repository.tags.remove('app')
  await repository.gc({ grace: 0 })
  t.equal(await has(repository, kept.digest), true)
})

t.test('copies the live part of a pack, verified, and removes the pack', async t => {
  const repository = await makePackedRepository(t.testdir())
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const large = Buffer.alloc(3 * 1024 * 1024, 'large')
  const kept = await putFiles(session.objects, ['small', large, Buffer.alloc(20_000, 1)])
  const lost = await putFiles(session.objects, [Buffer.alloc(4 * 1024 * 1024, 'lost')])
  await session.objects.publish([kept.digest, lost.digest])
  await repository.tags.set('app', kept)
  await session[Symbol.asyncDispose]()
  const report = await repository.gc({ grace: 0 })
  t.equal(report.rewrittenPacks, 1)
  t.ok(report.freedBytes > 3 * 1024 * 1024, `${report.freedBytes}`)
  t.strictSame(await problemsOf(repository), [])
  t.equal(await has(repository, lost.digest), false)
})

t.test('leaves a pack with an unreadable object, and goes on', async t => {
  const repository = await makePackedRepository(t.testdir())
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const content = 'a content to be found'.repeat(10)
  const kept = await putFiles(session.objects, [content])
  const lost = await putFiles(session.objects, [Buffer.alloc(400_000, 'lost')])
  await session.objects.publish([kept.digest, lost.digest])
  await repository.tags.set('app', kept)
  await session[Symbol.asyncDispose]()
  const packs = join(repository.root, 'packs')
  const path = join(packs, readdirSync(packs)[0] ?? '')
  const bytes = readFileSync(path)
  bytes[bytes.indexOf(content)] = 0
  writeFileSync(path, bytes)
  const other = await storeFiles(repository, ['in another pack'])
  const report = await repository.gc({ grace: 0 })
  t.strictSame(
    report.problems.map(({ where }) => where),
    [path],
  )
  t.equal(await has(repository, other.digest), false)
  t.equal(report.removedPacks, 1)
  t.equal(readdirSync(packs).includes(path.slice(packs.length + 1)), true)
})

t.test('condemns nothing while a pack that may lead to it cannot be read', async t => {
  const repository = await makePackedRepository(t.testdir())
  const lost = await storeFiles(repository, ['one'])
  const packs = join(repository.root, 'packs')
  const before = new Set(readdirSync(packs))
  await storeFiles(repository, ['two'], 'app')
  const [name = ''] = readdirSync(packs).filter(one => !before.has(one))
  const whole = readFileSync(join(packs, name))
  writeFileSync(join(packs, name), whole.subarray(0, whole.length - 1))
  const report = await repository.gc({ grace: 0 })
  t.ok(report.problems.length > 1)
  t.equal(await has(await openRepository(repository.root), lost.digest), true)
  writeFileSync(join(packs, name), whole)
  await repository.gc({ grace: 0 })
  t.strictSame(await problemsOf(await openRepository(repository.root)), [])
})

t.test(
  'waits for a session that may rely on garbage, and spares what it names',
  async t => {
    const repository = await makePackedRepository(t.testdir())
    const other = await openRepository(repository.root)
    const old = await storeFiles(repository, ['one', 'two'])
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'gradual',
    })
    const known = await session.objects.stat([old.digest])
    t.ok(known[0])
    const report = await other.gc({ grace: 0, wait: 0 })
    t.strictSame(report.waitingFor, [session.number])
    t.equal(await has(other, old.digest), true, 'readers still see it')
    await session.objects.publish([old.digest])
    await repository.tags.set('app', old)
    await session[Symbol.asyncDispose]()
    const next = await other.gc({ grace: 0, wait: 0 })
    t.strictSame(next.waitingFor, [])
    t.strictSame(await problemsOf(repository), [])
    t.equal(next.freedBytes, 0)
  },
)

t.test('lets a session that began later store condemned objects again', async t => {
  const repository = await makePackedRepository(t.testdir())
  const other = await openRepository(repository.root)
  const old = await storeFiles(repository, ['one', 'two'])
  await using early = await repository.begin({ purpose: 'store', publishing: 'gradual' })
  await other.gc({ grace: 0, wait: 0 })
  await using late = await other.begin({ purpose: 'store', publishing: 'gradual' })
  t.equal((await late.objects.has([old.digest])).get(0), false)
  const again = await putFiles(late.objects, ['one', 'two'])
  await late.objects.publish([again.digest])
  await early[Symbol.asyncDispose]()
  await repository.gc({ grace: 0, wait: 0 })
  await other.tags.set('app', again)
  await late[Symbol.asyncDispose]()
  t.strictSame(await problemsOf(repository), [])
})

t.test(
  'spares what a pack relies on whose session died before it was tagged',
  async t => {
    const repository = await makePackedRepository(t.testdir())
    const other = await openRepository(repository.root)
    await storeFiles(repository, ['relied on'])
    const early = await repository.begin({ purpose: 'store', publishing: 'gradual' })
    await other.gc({ grace: 0, wait: 0 })
    // This session found the file before it was condemned, so it does not store it again.
    const packs = join(repository.root, 'packs')
    const list = readFileSync(join(packs, 'condemned'))
    await repository.objects.has([])
    writeFileSync(join(packs, 'condemned'), new CondemnedList([]).encode())
    const later = await openRepository(repository.root)
    await using relying = await later.begin({ purpose: 'store', publishing: 'gradual' })
    const published = await putFiles(relying.objects, ['relied on', 'new'])
    await relying.objects.publish([published.digest])
    writeFileSync(join(packs, 'condemned'), list)
    await relying[Symbol.asyncDispose]()
    await early[Symbol.asyncDispose]()
    await other.gc({ wait: 0, grace: hour })
    const fresh = await openRepository(repository.root)
    for await (const batch of fresh.objects.list()) {
      t.ok((await fresh.objects.has(batch)).count() === batch.length)
    }
    const errors = (await problemsOf(fresh)).filter(text => text.startsWith('error'))
    t.strictSame(errors, [])
  },
)

t.test('is finished by the next run wherever it failed', async t => {
  for (let nth = 1; ; nth++) {
    const folder = t.testdir({})
    const repository = await makePackedRepository(folder)
    await storeFiles(repository, ['kept', 'both'], 'app')
    await using session = await repository.begin({
      purpose: 'store',
      publishing: 'whole',
    })
    const live = await putFiles(session.objects, ['live'])
    const dead = await putFiles(session.objects, [Buffer.alloc(50_000, 'dead')])
    await session.objects.publish([live.digest, dead.digest])
    await repository.tags.set('live', live)
    await session[Symbol.asyncDispose]()
    await storeFiles(repository, ['garbage', 'both'])
    let failed: string | undefined
    const calls = failingPackCalls(nth, name => (failed = name))
    const run = repository.gc({ grace: 0, calls })
    await run.catch((error: unknown) => t.match(error, { code: 'EIO' }))
    if (failed === undefined) {
      t.ok(nth > 20, `${nth} calls`)
      return
    }
    const after = await openRepository(repository.root)
    t.strictSame(await problemsOf(after), [], `after call ${nth}, ${failed}`)
    await after.gc({ grace: 0 })
    t.strictSame(await problemsOf(after), [], `after the run behind ${nth}, ${failed}`)
    t.strictSame(await unreachable(after), 0, `all gone behind ${nth}, ${failed}`)
    t.strictSame(readdirSync(join(after.root, 'temp')), [], `no temp behind ${nth}`)
  }
})

t.test('takes a list that cannot be read for none', async t => {
  const repository = await makePackedRepository(t.testdir())
  const lost = await storeFiles(repository, ['one'])
  await repository.gc()
  const path = join(repository.root, 'packs', 'condemned')
  writeFileSync(path, readFileSync(path).subarray(1))
  const opened = await openRepository(repository.root)
  t.equal(await has(opened, lost.digest), true)
  const report = await opened.gc({ grace: 0 })
  t.strictSame(report.problems.length, 1)
  t.equal(await has(opened, lost.digest), false)
})

t.test('names every root that keeps an object', async t => {
  const repository = await makePackedRepository(t.testdir())
  const one = await storeFiles(repository, ['one', 'shared'], 'one')
  await storeFiles(repository, ['two', 'shared'], 'two')
  await storeFiles(repository, ['three'], 'three')
  await repository.mounts.add(one.digest)
  const found: string[] = []
  const file = (await repository.objects.read([one.digest]))[0]?.digest ?? one.digest
  for await (const root of keepersOf(repository, file)) found.push(root.kind)
  t.strictSame(found, ['tag', 'log', 'mount'])
})

t.test('removes garbage from the loose layout, parents first', async t => {
  const repository = await makeRepository(t.testdir())
  const kept = await storeFiles(repository, ['one', 'two'], 'app')
  const lost = await storeFiles(repository, ['two', 'three'])
  t.equal((await repository.gc({ action: 'dry-run' })).garbage.objects, 3)
  const report = await repository.gc()
  t.ok(report.freedBytes > 0)
  t.equal(await has(repository, lost.digest), false)
  t.equal(await has(repository, kept.digest), true)
  t.strictSame(await problemsOf(repository), [])
  t.equal((await repository.gc()).garbage.objects, 0)
  await t.rejects(repository.gc({ action: 'undo' }), { code: 'invalid_argument' })
})

t.test('removes no loose object while a session runs', async t => {
  const repository = await makeRepository(t.testdir())
  const lost = await storeFiles(repository, ['one'])
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const report = await repository.gc({ wait: 0 })
  t.strictSame(report.waitingFor, [session.number])
  t.equal(await has(repository, lost.digest), true)
})

async function unreachable(repository: Repository): Promise<number> {
  let objects = 0
  const packs = join(repository.root, 'packs')
  for (const name of readdirSync(packs)) {
    if (!name.endsWith('.pack') || !statSync(join(packs, name)).isFile()) continue
    const pack = PackFile.open(join(packs, name))
    objects += pack.index.count
    pack.retire()
  }
  const { reachable } = await repository.gc({ action: 'dry-run' })
  return objects - reachable.objects
}

function failingPackCalls(nth: number, onFailed: (name: string) => void): PackCalls {
  let count = 0
  const guard = (name: string): void => {
    count += 1
    if (count !== nth) return
    onFailed(name)
    throw Object.assign(new Error(`EIO: ${name}`), { code: 'EIO', errno: -5 })
  }
  const system = systemPackCalls
  return {
    ...system,
    create: path => (guard('create'), system.create(path)),
    open: path => (guard('open'), system.open(path)),
    rename: (from, to) => (guard('rename'), system.rename(from, to)),
    unlink: path => (guard('unlink'), system.unlink(path)),
    write: (fd, bytes) => (guard('write'), system.write(fd, bytes)),
    writeAt: (fd, bytes, at) => (guard('writeAt'), system.writeAt(fd, bytes, at)),
    sync: async fd => {
      guard('sync')
      await system.sync(fd)
    },
  }
}
