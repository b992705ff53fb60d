import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { StorageFullError } from '../../../lib/errors.js'
import type { Digest } from '../../../lib/object/digest.js'
import { dependenciesOf } from '../../../lib/object/received-object.js'
import type { Publishing } from '../../../lib/store/object-store.js'
import type { PackCalls } from '../../../lib/store/pack/pack-calls.js'
import {
  openPackStore,
  type PackStoreOptions,
} from '../../../lib/store/pack/pack-store.js'
import { algorithmNamed } from '../../support/object-store-contract.js'
import { putSampleTree } from '../../support/sample-tree.js'
import {
  type CallWatcher,
  systemError,
  watchedCalls,
} from '../../support/watched-calls.js'

const algorithm = algorithmNamed('blake3')
const large = randomBytes(300_000)
const text = Buffer.from('a line that shrinks\n'.repeat(20_000))
const filesystemSync = false

/**
 * Stores a tree, large files of known and of unknown size, of which one is open while the
 * session publishes, one that is cancelled and one that is held.
 */
async function storeAll(
  root: string,
  options: PackStoreOptions,
  publishing: Publishing,
): Promise<readonly Digest[]> {
  using store = openPackStore(root, options)
  const folder = mkdtempSync(join(root, 'temp/'))
  await using session = await store.begin({ algorithm, folder, publishing })
  await using first = await session.stream({ type: 'file', size: large.length })
  await first.write(large)
  await using second = await session.stream({ type: 'file', size: text.length })
  await second.write(text.subarray(0, 290_000))
  await using unknown = await session.stream({ type: 'file' })
  await unknown.write(Buffer.concat([text, large]))
  const { digest } = await first.commit()
  await using third = await session.stream({ type: 'file', size: large.length + 1 })
  await third.write(large)
  await using cancelled = await session.stream({ type: 'file', size: large.length })
  await cancelled.write(large.subarray(1))
  await cancelled.cancel()
  const tree = await putSampleTree(session)
  await session.publish([tree.application.digest, digest])
  await second.write(text.subarray(290_000))
  await third.write(Buffer.from('x'))
  const held = await third.hold()
  const links = [await second.commit(), await unknown.commit(), held.link]
  await held.commit()
  const digests = [...tree.objects, { digest }, ...links].map(one => one.digest)
  await session.publish(digests)
  return digests
}

async function checkStore(t: Test, root: string, when: string): Promise<void> {
  using store = openPackStore(root)
  t.equal(store.folder.broken.size, 0, when)
  for await (const batch of store.list()) {
    for (const { digest, type, payload } of await store.read(batch)) {
      const below = dependenciesOf(type, payload, 'strict').map(one => one.digest)
      if ((await store.has(below)).count() < below.length) {
        t.fail(`${digest} lacks a child ${when}`)
      }
    }
  }
}

type Disturbance = {
  readonly publishing: Publishing
  readonly options?: PackStoreOptions
  readonly calls?: readonly string[]
  readonly disturb: (name: string, isFirst: boolean) => 'short' | undefined
  readonly afterwards: (error: unknown, when: string, folder: string) => void
}

/** Runs storeAll with the nth of the chosen calls disturbed, for each n there is. */
async function disturbEach(t: Test, disturbance: Disturbance): Promise<number> {
  const { publishing, options, disturb, afterwards } = disturbance
  const folder = t.testdir()
  for (let nth = 1; ; nth++) {
    const root = join(folder, String(nth))
    mkdirSync(join(root, 'temp'), { recursive: true })
    let count = 0
    let disturbed: string | undefined
    const watch: CallWatcher = ({ name }) => {
      if (disturbance.calls?.includes(name) === false || ++count < nth) return undefined
      const isFirst = count === nth
      if (isFirst) disturbed = name
      return disturb(name, isFirst)
    }
    const open = openDescriptors()
    const calls: PackCalls = watchedCalls(watch, { filesystemSync })
    let failure: unknown
    try {
      await storeAll(root, { ...options, calls }, publishing)
    } catch (error) {
      failure = error
    }
    if (disturbed === undefined) return nth - 1
    const when = `after ${disturbed}, call ${nth}`
    t.equal(openDescriptors(), open, `no file is open ${when}`)
    await checkStore(t, root, when)
    afterwards(failure, when, join(root, 'temp'))
    const quiet = watchedCalls(() => undefined, { filesystemSync })
    const digests = await storeAll(root, { ...options, calls: quiet }, publishing)
    using store = openPackStore(root)
    t.equal((await store.read(digests)).length, digests.length, `a repeat ${when}`)
  }
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap(name => readdirSync(join(folder, name)))
}

const combinations = [
  { publishing: 'gradual', options: {} },
  { publishing: 'whole', options: { compression: { codec: 'zstd', level: 1 } } },
] as const

for (const { publishing, options } of combinations) {
  t.test(`${publishing}: any call that fails leaves a sound store`, async t => {
    const tried = await disturbEach(t, {
      publishing,
      options,
      disturb: (call, isFirst) => {
        if (isFirst) throw systemError('EIO', call)
        return undefined
      },
      afterwards: (error, when, folder) => {
        t.ok(when.includes('unlink') || error, when)
        t.same(filesBelow(folder), [], `no file ${when}`)
      },
    })
    t.ok(tried > 20, `tried ${tried} calls`)
  })

  t.test(`${publishing}: an end at any call leaves a sound store`, async t => {
    const tried = await disturbEach(t, {
      publishing,
      options,
      disturb: call => {
        throw systemError('EIO', call)
      },
      afterwards: (error, when) => t.ok(error, when),
    })
    t.ok(tried > 20, `tried ${tried} calls`)
  })

  t.test(`${publishing}: a full disk at any call is told as such`, async t => {
    const tried = await disturbEach(t, {
      publishing,
      options,
      calls: ['create', 'write', 'rename', 'makeFolder', 'sync'],
      disturb: (call, isFirst) => {
        if (isFirst) throw systemError('ENOSPC', call)
        return undefined
      },
      afterwards: (error, when, folder) => {
        t.type(error, StorageFullError, when)
        t.same(filesBelow(folder), [], when)
      },
    })
    t.ok(tried > 15, `tried ${tried} calls`)
  })

  t.test(`${publishing}: short writes go on where they ended`, async t => {
    const tried = await disturbEach(t, {
      publishing,
      options,
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
    { filesystemSync },
  )
  using store = openPackStore(root, { calls })
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

t.test(
  'no pack stands before its data, nor a name that counts before a sync',
  async t => {
    const root = t.testdir({ temp: {} })
    const packs = join(root, 'packs')
    const dirty = new Set<string>()
    let unsyncedNames = 0
    const watch: CallWatcher = ({ name, path, to }) => {
      if (name === 'write') dirty.add(path)
      else if (name === 'sync') {
        dirty.delete(path)
        if (path === packs) unsyncedNames = 0
      } else if (name === 'rename' && to?.startsWith(packs)) {
        t.notOk(dirty.has(path), 'the data is durable')
        unsyncedNames += 1
      }
      return undefined
    }
    const calls = watchedCalls(watch, { filesystemSync })
    await storeAll(root, { calls }, 'gradual')
    t.equal(unsyncedNames, 0, 'all names are durable in the end')
    const synced: string[] = []
    const watchSync: CallWatcher = ({ name, path }) => {
      if (name === 'sync') synced.push(path)
      return undefined
    }
    await storeAll(
      root,
      { calls: watchedCalls(watchSync, { filesystemSync }) },
      'gradual',
    )
    t.ok(synced.includes(packs), 'also those that it only found')
  },
)
