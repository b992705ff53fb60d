import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { StorageFullError } from '../../lib/errors.js'
import type { Digest } from '../../lib/object/digest.js'
import { dependenciesOf } from '../../lib/object/received-object.js'
import { openLooseStore } from '../../lib/store/loose-store.js'
import type { ObjectStore, Publishing } from '../../lib/store/object-store.js'
import type { FileCalls } from '../../lib/system/file-calls.js'
import { algorithmNamed } from '../support/object-store-contract.js'
import { putSampleTree } from '../support/sample-tree.js'
import { type CallWatcher, systemError, watchedCalls } from '../support/watched-calls.js'

const algorithm = algorithmNamed('blake3')
const large = randomBytes(300_000)

/** Stores a tree, a large file and a held one, in batches as small as can be. */
async function storeAll(
  root: string,
  calls: FileCalls,
  publishing: Publishing,
): Promise<readonly Digest[]> {
  const store = openLooseStore(root, { calls, batchObjects: 3 })
  const folder = mkdtempSync(join(root, 'temp/'))
  await using session = await store.begin({ algorithm, folder, publishing })
  await using writer = await session.stream({ type: 'file' })
  for (let start = 0; start < large.length; start += 100_000) {
    await writer.write(large.subarray(start, start + 100_000))
  }
  await using aside = await session.stream({ type: 'file' })
  await aside.write(Buffer.from('held'))
  const held = await aside.hold()
  const { objects } = await putSampleTree(session)
  const { digest } = await writer.commit()
  await held.commit()
  const digests = [...objects.map(object => object.digest), digest, held.link.digest]
  await session.publish(digests)
  return digests
}

async function checkStore(t: Test, store: ObjectStore, when: string): Promise<void> {
  for await (const batch of store.list()) {
    for (const { digest, type, payload } of await store.read(batch)) {
      const below = dependenciesOf(type, payload, 'strict').map(one => one.digest)
      if ((await store.has(below)).count() < below.length) {
        t.fail(`${digest} lacks a child ${when}`)
      }
    }
  }
}

/** Runs storeAll with the nth of the chosen calls disturbed, for each n there is. */
async function disturbEach(
  t: Test,
  options: {
    publishing: Publishing
    filesystemSync: boolean
    calls?: readonly string[]
    disturb: (name: string, isFirst: boolean) => 'short' | undefined
    afterwards: (error: unknown, name: string, folder: string) => void
  },
): Promise<number> {
  const { publishing, filesystemSync, disturb, afterwards } = options
  const folder = t.testdir()
  for (let nth = 1; ; nth++) {
    const root = join(folder, String(nth))
    mkdirSync(join(root, 'temp'), { recursive: true })
    let count = 0
    let disturbed: string | undefined
    const watch: CallWatcher = ({ name }) => {
      if (options.calls?.includes(name) === false || ++count < nth) return undefined
      const isFirst = count === nth
      if (isFirst) disturbed = name
      return disturb(name, isFirst)
    }
    const calls = watchedCalls(watch, { filesystemSync })
    let failure: unknown
    try {
      await storeAll(root, calls, publishing)
    } catch (error) {
      failure = error
    }
    if (disturbed === undefined) return nth - 1
    const when = `after ${disturbed}, call ${nth}`
    await checkStore(t, openLooseStore(root), when)
    afterwards(failure, when, join(root, 'temp'))
    const quiet = watchedCalls(() => undefined, { filesystemSync })
    const digests = await storeAll(root, quiet, publishing)
    const found = await openLooseStore(root).read(digests)
    if (found.length !== digests.length) t.fail(`a repeat stores all ${when}`)
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap(name => readdirSync(join(folder, name)))
}

// Every call of every combination would take minutes and tell nothing more.
const combinations = [
  { publishing: 'gradual', fails: 'one sync for all', ends: 'a sync each' },
  { publishing: 'whole', fails: 'a sync each', ends: 'one sync for all' },
] as const

for (const { publishing, fails, ends } of combinations) {
  t.test(`${publishing}, ${fails}: any call that fails leaves a sound store`, async t => {
    const tried = await disturbEach(t, {
      publishing,
      filesystemSync: fails === 'one sync for all',
      disturb: (call, isFirst) => {
        if (isFirst) throw systemError('EIO', call)
        return undefined
      },
      afterwards: (error, when, folder) => {
        // A file that cannot be removed at once goes with its folder.
        if (!when.includes('unlink')) t.match(error, { code: 'EIO' }, when)
        t.same(filesBelow(folder), [], `no file ${when}`)
      },
    })
    t.ok(tried > 80, `tried ${tried} calls`)
  })

  t.test(`${publishing}, ${ends}: an end at any call leaves a sound store`, async t => {
    const tried = await disturbEach(t, {
      publishing,
      filesystemSync: ends === 'one sync for all',
      disturb: call => {
        throw systemError('EIO', call)
      },
      afterwards: (error, when) => t.ok(error, when),
    })
    t.ok(tried > 80, `tried ${tried} calls`)
  })
}

for (const publishing of ['gradual', 'whole'] as const) {
  const filesystemSync = publishing === 'whole'

  t.test(`${publishing}: a full disk at any call is told as such`, async t => {
    const tried = await disturbEach(t, {
      publishing,
      filesystemSync,
      calls: ['create', 'write', 'rename', 'makeFolder', 'sync', 'syncFilesystem'],
      disturb: (call, isFirst) => {
        if (isFirst) throw systemError('ENOSPC', call)
        return undefined
      },
      afterwards: (error, when, folder) => {
        t.type(error, StorageFullError, when)
        t.match(error, { cause: { code: 'ENOSPC' }, facts: { what: String } })
        t.same(filesBelow(folder), [], when)
      },
    })
    t.ok(tried > 40, `tried ${tried} calls`)
  })

  t.test(`${publishing}: short writes go on where they ended`, async t => {
    const tried = await disturbEach(t, {
      publishing,
      filesystemSync,
      calls: ['write'],
      disturb: () => 'short',
      afterwards: (error, when) => t.equal(error, undefined, when),
    })
    t.ok(tried > 10, `tried ${tried} calls`)
  })
}

t.test('never syncs again what failed to sync', async t => {
  const root = t.testdir({ temp: {} })
  let syncs = 0
  const calls = watchedCalls(
    ({ name }) => {
      if (name !== 'sync') return undefined
      syncs++
      throw systemError('EIO', 'fsync')
    },
    { filesystemSync: false },
  )
  const store = openLooseStore(root, { calls })
  const folder = join(root, 'temp')
  await using session = await store.begin({ algorithm, folder, publishing: 'whole' })
  const { application } = await putSampleTree(session)
  await t.rejects(session.publish([application.digest]), { code: 'EIO' })
  await t.rejects(session.publish([application.digest]), /abandoned/)
  await t.rejects(session.put([]), /abandoned/)
  await t.rejects(session.has([]), /abandoned/)
  t.equal(syncs, 1)
  t.equal((await store.has([application.digest])).count(), 0)
})

for (const filesystemSync of [true, false]) {
  const name = filesystemSync ? 'one sync for all' : 'a sync each'

  t.test(`${name}: no name stands before its data and its children's names`, async t => {
    const root = t.testdir({ temp: {} })
    const objects = join(root, 'objects')
    const dirty = new Set<string>()
    const unsyncedNames = new Set<string>()
    const watch: CallWatcher = ({ name: call, path, to }) => {
      if (call === 'write') dirty.add(path)
      else if (call === 'sync') {
        dirty.delete(path)
        for (const named of unsyncedNames) {
          if (dirname(named) === path) unsyncedNames.delete(named)
        }
      } else if (call === 'syncFilesystem') {
        dirty.clear()
        unsyncedNames.clear()
      } else if (call === 'rename' && to?.startsWith(objects)) {
        t.notOk(dirty.has(path), 'the data is durable')
        if (!filesystemSync) t.equal(unsyncedNames.size, 0, 'names before it are durable')
        unsyncedNames.add(to)
      } else if (call === 'rename' && dirty.delete(path)) dirty.add(to ?? path)
      return undefined
    }
    const digests = await storeAll(
      root,
      watchedCalls(watch, { filesystemSync }),
      'gradual',
    )
    t.equal(unsyncedNames.size, 0, 'all names are durable in the end')
    t.equal((await openLooseStore(root).has(digests)).count(), digests.length)
  })

  t.test(`${name}: makes names durable that it only found`, async t => {
    const root = t.testdir({ temp: {} })
    const quiet = watchedCalls(() => undefined, { filesystemSync })
    const digests = await storeAll(root, quiet, 'whole')
    const synced: string[] = []
    const watch: CallWatcher = ({ name: call, path }) => {
      if (call === 'sync' || call === 'syncFilesystem') synced.push(path)
      return undefined
    }
    await storeAll(root, watchedCalls(watch, { filesystemSync }), 'gradual')
    for (const digest of digests) {
      const levels = [digest.slice(0, 2), digest.slice(2, 4), digest.slice(4, 6)]
      const folder = filesystemSync ? '' : join('/', ...levels)
      t.ok(synced.includes(join(root, 'objects', folder)), digest)
    }
  })
}
