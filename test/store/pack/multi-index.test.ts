import { readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CairnError } from '../../../lib/errors.js'
import { MultiIndex } from '../../../lib/store/pack/multi-index.js'
import {
  needsMultiIndex,
  writeMultiIndex,
} from '../../../lib/store/pack/multi-index-writer.js'
import { systemPackCalls as calls } from '../../../lib/store/pack/pack-calls.js'
import { PackFolder } from '../../../lib/store/pack/pack-folder.js'
import { PackWriter } from '../../../lib/store/pack/pack-writer.js'
import { type Item, item } from '../../support/stored-objects.js'

async function writePack(path: string, items: readonly Item[]): Promise<void> {
  const writer = new PackWriter(path, calls)
  for (const { type, payload, digest } of items) {
    writer.add(digest, type, payload.length, { codec: 'raw', bytes: payload })
  }
  await writer.seal()
}

const shared = item('file', Buffer.from('in every pack'))
const newer = item('file', Buffer.from('in a newer pack'))

function itemsOf(pack: number): Item[] {
  const own = Array.from({ length: 300 }, (_, index) =>
    item('file', Buffer.from(`${pack} ${index}`), index % 3 === 0 ? 5 : 10),
  )
  return [shared, ...own]
}

async function twentyPacks(t: Test) {
  const root = t.testdir({ packs: {}, temp: {} })
  const packs = join(root, 'packs')
  for (let pack = 0; pack < 20; pack++) {
    await writePack(join(packs, `${pack + 10}.pack`), itemsOf(pack))
  }
  const open = (): PackFolder => {
    const folder = new PackFolder(packs)
    t.teardown(() => folder[Symbol.dispose]())
    folder.refresh()
    return folder
  }
  return { packs, temp: join(root, 'temp'), open }
}

function countFound(folder: PackFolder, packs: number): number {
  let found = 0
  for (let pack = 0; pack < packs; pack++) {
    for (const { digest, payload } of itemsOf(pack)) {
      const object = folder.find(digest)
      if (object?.pack.readPlace(object.place, 0, payload.length).equals(payload))
        found += 1
    }
  }
  return found
}

t.test('finds everything through one index, and opens packs when needed', async t => {
  const { packs, temp, open } = await twentyPacks(t)
  t.ok(needsMultiIndex(open()))
  await writeMultiIndex(open(), { temp, calls })
  t.same(readdirSync(temp), [])
  const folder = open()
  t.notOk(needsMultiIndex(folder))
  t.same(folder.uncovered, [])
  t.equal(countFound(folder, 20), 20 * 301)
  t.equal(folder.find(newer.digest), undefined)
  await writePack(join(packs, 'newer.pack'), [newer])
  t.ok(folder.findFresh(newer.digest))
  t.same(folder.uncovered, ['newer.pack'])
  using multi = MultiIndex.open(join(packs, 'multi'))
  multi.check()
  t.equal(multi.count, 20 * 301)
  t.equal(multi.find(shared.digest).length, 20)
})

t.test('finds an object in another pack when one is gone', async t => {
  const { packs, temp, open } = await twentyPacks(t)
  const folder = open()
  await writeMultiIndex(folder, { temp, calls })
  const [lost] = itemsOf(0).slice(1)
  if (lost === undefined) throw new Error('no item')
  t.ok(folder.find(lost.digest))
  for (let pack = 0; pack < 19; pack++) unlinkSync(join(packs, `${pack + 10}.pack`))
  t.ok(folder.refresh())
  t.equal(folder.find(lost.digest), undefined)
  t.ok(folder.find(shared.digest))
  t.equal(open().find(lost.digest), undefined)
  t.ok(open().find(shared.digest))
})

t.test('follows an index that replaced the one it had', async t => {
  const { packs, temp, open } = await twentyPacks(t)
  const folder = open()
  await writeMultiIndex(open(), { temp, calls })
  await writePack(join(packs, 'newer.pack'), [newer])
  await writeMultiIndex(open(), { temp, calls })
  folder.refresh()
  t.same(folder.uncovered, [])
  t.ok(folder.find(newer.digest))
  t.equal(countFound(folder, 20), 20 * 301)
  unlinkSync(join(packs, 'multi'))
  folder.refresh()
  t.equal(folder.uncovered.length, 21)
  t.equal(countFound(folder, 20), 20 * 301)
})

t.test('works without an index that is damaged, and names it', async t => {
  const { packs, temp, open } = await twentyPacks(t)
  await writeMultiIndex(open(), { temp, calls })
  const path = join(packs, 'multi')
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.subarray(0, bytes.length - 1))
  const folder = open()
  t.same([...folder.broken.keys()], [path])
  t.equal(countFound(folder, 20), 20 * 301)
  await writeMultiIndex(folder, { temp, calls })
  t.equal(folder.broken.size, 0)
  t.same(folder.uncovered, [])
})

t.test(
  'notices every changed byte when it is checked, and throws our errors',
  async t => {
    const { packs, temp, open } = await twentyPacks(t)
    await writeMultiIndex(open(), { temp, calls })
    const bytes = readFileSync(join(packs, 'multi'))
    const other = join(temp, 'multi')
    const some = itemsOf(3).slice(0, 20)
    for (let at = 0; at < bytes.length; at += 331) {
      const damaged = Buffer.from(bytes)
      damaged[at] = (damaged[at] ?? 0) ^ 0x41
      writeFileSync(other, damaged)
      try {
        using multi = MultiIndex.open(other)
        for (const { digest } of some) multi.find(digest)
        multi.check()
        t.fail(`byte ${at} changed`)
      } catch (error) {
        if (!(error instanceof CairnError)) throw error
      }
    }
    t.pass()
  },
)
