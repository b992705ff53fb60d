import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Repository } from '../../lib/repository/repository.js'
import { MultiIndex } from '../../lib/store/pack/multi-index.js'
import { systemPackCalls } from '../../lib/store/pack/pack-calls.js'
import {
  makePackedRepository,
  problemsOf,
  storeFiles,
} from '../support/packed-repository.js'
import { makeRepository } from '../support/scratch-repository.js'

const large = Buffer.alloc(100_000, 'large content ')

/** A repository with two packs, and their paths. */
async function makeTwoPacks(folder: string): Promise<[Repository, string, string]> {
  const repository = await makePackedRepository(folder)
  await storeFiles(repository, ['one', large, Buffer.alloc(9_000_000)], 'one')
  await storeFiles(repository, ['two'], 'two')
  const packs = join(repository.root, 'packs')
  const names = readdirSync(packs).filter(name => name.endsWith('.pack'))
  const [first = '', second = ''] = names.map(name => join(packs, name))
  return [repository, first, second]
}

t.test('makes the merged index of all packs, also over a damaged one', async t => {
  const [repository] = await makeTwoPacks(t.testdir())
  const multi = join(repository.root, 'packs', 'multi')
  writeFileSync(multi, 'no index')
  const { packs, objects, rebuilt, problems } = await repository.rebuildIndex()
  t.same({ packs, rebuilt, problems }, { packs: 2, rebuilt: [], problems: [] })
  using index = MultiIndex.open(multi)
  t.equal(index.count, objects)
  t.same(await problemsOf(repository), [])
})

t.test('makes trailers anew wherever they, or what frames them, are damaged', async t => {
  const [repository, first] = await makeTwoPacks(t.testdir())
  const good = readFileSync(first)
  const trailerAt = Number(good.readBigUInt64LE(good.length - 36))
  const flipped = (offset: number): Buffer => {
    const bytes = Buffer.from(good)
    bytes.writeUInt8(bytes.readUInt8(offset) ^ 4, offset)
    return bytes
  }
  const damaged: readonly (readonly [string, Buffer])[] = [
    ['magic', flipped(3)],
    ['flags', flipped(9)],
    ['end mark', flipped(trailerAt - 20)],
    ['table', flipped(trailerAt + 40)],
    ['footer', flipped(good.length - 30)],
    ['trailer lost', good.subarray(0, trailerAt)],
    ['end mark cut', good.subarray(0, trailerAt - 7)],
    ['end mark lost', good.subarray(0, trailerAt - 24)],
  ]
  for (const [what, bytes] of damaged) {
    writeFileSync(first, bytes)
    const { rebuilt, problems } = await repository.rebuildIndex()
    t.same({ rebuilt, problems }, { rebuilt: [first], problems: [] }, what)
    t.ok(readFileSync(first).equals(good), `${what}: the same bytes as before`)
    t.same(await problemsOf(repository), [], what)
  }
})

t.test('leaves a pack alone whose segments cannot be read, and says so', async t => {
  const [repository, first] = await makeTwoPacks(t.testdir())
  const bytes = readFileSync(first)
  bytes.writeUInt8(0, 16)
  bytes.writeUInt8(0, bytes.length - 1)
  writeFileSync(first, bytes)
  const { packs, rebuilt, problems } = await repository.rebuildIndex()
  t.equal(packs, 1)
  t.same(rebuilt, [])
  t.match(problems, [{ where: first, message: /segments/ }])
  t.ok(readFileSync(first).equals(bytes))
})

t.test('changes nothing when a write fails', async t => {
  const [repository, first] = await makeTwoPacks(t.testdir())
  const bytes = readFileSync(first).subarray(0, -50)
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' })
  const failing = {
    ...systemPackCalls,
    writeAt: () => {
      throw full
    },
  }
  writeFileSync(first, bytes)
  await t.rejects(repository.rebuildIndex({ calls: failing }), { code: 'storage_full' })
  t.ok(readFileSync(first).equals(bytes))
  t.same(readdirSync(join(repository.root, 'temp')), [])
  await repository.rebuildIndex()
  t.same(await problemsOf(repository), [])
})

t.test('is refused where objects are a file each', async t => {
  const repository = await makeRepository(t.testdir())
  await t.rejects(repository.rebuildIndex(), { code: 'invalid_argument' })
})

t.test('copes with a folder without packs', async t => {
  const repository = await makePackedRepository(t.testdir())
  t.match(await repository.rebuildIndex(), { packs: 0, objects: 0 })
  rmSync(join(repository.root, 'packs', 'multi'))
  t.same(await problemsOf(repository), [])
})
