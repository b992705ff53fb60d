import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  checkPacks,
  rowsOf,
  unitsOfPacks,
} from '../../../lib/repository/check/check-packs.js'
import type { Finding } from '../../../lib/repository/check/finding.js'
import { scanUnits } from '../../../lib/repository/check/scan-pool.js'
import { openRepository } from '../../../lib/repository/open.js'
import type { Repository } from '../../../lib/repository/repository.js'
import { writeMultiIndex } from '../../../lib/store/pack/multi-index-writer.js'
import { systemPackCalls } from '../../../lib/store/pack/pack-calls.js'
import { PackStore } from '../../../lib/store/pack/pack-store.js'
import { makePackedRepository, storeFiles } from '../../support/packed-repository.js'
import { seededRandom } from '../../support/seeded-random.js'

type Depth = 'full' | 'quick'

async function findingsOf(root: string, depth: Depth): Promise<Finding[]> {
  using repository = await openRepository(root)
  const findings: Finding[] = []
  for await (const finding of repository.check({ objects: 'all', depth })) {
    findings.push(finding)
  }
  return findings
}

function packsOf({ root }: Repository): string[] {
  const folder = join(root, 'packs')
  return readdirSync(folder)
    .filter(name => name.endsWith('.pack'))
    .map(name => join(folder, name))
}

function flip(path: string, offset: number, bit = 1): void {
  const bytes = readFileSync(path)
  bytes.writeUInt8(bytes.readUInt8(offset) ^ bit, offset)
  writeFileSync(path, bytes)
}

t.test('finds a flipped bit in any byte of a pack', async t => {
  const repository = await makePackedRepository(t.testdir())
  const random = seededRandom(7)
  const large = Buffer.from(Array.from({ length: 17_000 }, () => random() * 256))
  await storeFiles(repository, ['one', 'two', large], 'tag')
  const [pack = ''] = packsOf(repository)
  repository[Symbol.dispose]()
  t.same(await findingsOf(repository.root, 'full'), [])
  const { length } = readFileSync(pack)
  const missed: number[] = []
  const step = process.env['CAIRN_TEST_LONG'] === '1' ? 1 : 251
  for (let offset = 0; offset < length; offset += step) {
    flip(pack, offset, 1 << (offset % 8))
    const findings = await findingsOf(repository.root, 'full')
    if (!findings.some(({ severity }) => severity === 'error')) missed.push(offset)
    flip(pack, offset, 1 << (offset % 8))
  }
  t.same(missed, [])
})

t.test('reads contents only when it is to be thorough', async t => {
  const repository = await makePackedRepository(t.testdir())
  await storeFiles(repository, ['content that is flipped'], 'tag')
  const [pack = ''] = packsOf(repository)
  flip(pack, readFileSync(pack).indexOf('content that'))
  t.same(await findingsOf(repository.root, 'quick'), [])
  t.match(await findingsOf(repository.root, 'full'), [
    { kind: 'corrupt-object', pack: pack.slice(pack.lastIndexOf('/') + 1) },
  ])
})

t.test('finds what a lost pack took with it, from the index alone', async t => {
  const repository = await makePackedRepository(t.testdir())
  await storeFiles(repository, ['shared'], 'one')
  const [first = ''] = packsOf(repository)
  await storeFiles(repository, ['shared', 'more'], 'two')
  rmSync(first)
  for (const depth of ['quick', 'full'] as const) {
    const findings = await findingsOf(repository.root, depth)
    const missing = findings.filter(({ kind }) => kind === 'missing-object')
    t.ok(missing.length >= 3, depth)
    t.ok(
      missing.some(finding => finding.missing?.type === 'file'),
      'tells what the reference says',
    )
  }
})

t.test('tells a pack that cannot be opened, and goes on', async t => {
  const repository = await makePackedRepository(t.testdir())
  await storeFiles(repository, ['one'], 'one')
  const [pack = ''] = packsOf(repository)
  flip(pack, readFileSync(pack).length - 1)
  t.match(
    (await findingsOf(repository.root, 'quick')).filter(
      ({ kind }) => kind === 'damaged-pack',
    ),
    [{ severity: 'error', where: pack }],
  )
})

t.test('compares the merged index with the packs', async t => {
  const repository = await makePackedRepository(t.testdir())
  for (let n = 0; n < 3; n++) await storeFiles(repository, [`content ${n}`], `tag${n}`)
  const packs = join(repository.root, 'packs')
  const write = async (): Promise<void> => {
    using store = new PackStore(packs)
    await writeMultiIndex(store.folder, { temp: packs, calls: systemPackCalls })
  }
  const problems = (): (string | undefined)[] => {
    using store = new PackStore(packs)
    return [...checkPacks(store.folder)].map(({ kind }) => kind)
  }
  await write()
  t.same(problems(), [])
  const multi = join(packs, 'multi')
  const good = readFileSync(multi)
  for (let offset = 0; offset < good.length; offset += 17) {
    flip(multi, offset)
    t.same(problems(), ['damaged-index'], `byte ${offset}`)
    writeFileSync(multi, good)
  }
  // An index of other packs under the names of these: every checksum is right.
  const [first = '', second = ''] = packsOf(repository)
  renameSync(first, `${first}.other`)
  renameSync(second, first)
  renameSync(`${first}.other`, second)
  t.same(problems(), ['damaged-index'])
})

t.test('finds the same in threads as alone, in the same order', async t => {
  const repository = await makePackedRepository(t.testdir())
  const contents = Array.from({ length: 200 }, (_, index) => `content ${index}`)
  await storeFiles(repository, contents, 'tag')
  const [pack = ''] = packsOf(repository)
  for (const text of ['content 17', 'content 170']) {
    flip(pack, readFileSync(pack).indexOf(text))
  }
  using store = new PackStore(join(repository.root, 'packs'))
  store.refresh()
  const place = { root: repository.root, layout: 'pack' as const }
  const [opened] = store.folder.packs
  if (opened === undefined) throw new Error('a pack')
  const units = [
    ...unitsOfPacks(store.folder, 'full', () => t.fail('whole segments')),
    ...rowsOf(opened, 'full'),
    ...rowsOf(opened, 'quick'),
  ]
  const scan = async (bytes: number) => {
    const results = []
    for await (const [, result] of scanUnits(place, units, { bytes, objects: 0 })) {
      results.push({ ...result, findings: [...result.findings] })
    }
    return results
  }
  const alone = await scan(0)
  t.equal(alone[0]?.findings.length, 2)
  t.same(await scan(2 ** 40), alone)
})
