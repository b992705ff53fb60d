import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { CairnError } from '../../lib/errors.js'
import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import { RemoteSource } from '../../lib/remote/remote-source.js'
import type { StoreLayout } from '../../lib/repository/config.js'
import { initRepository } from '../../lib/repository/init.js'
import { openRepository } from '../../lib/repository/open.js'
import { repairRepository } from '../../lib/repository/repair/repair-repository.js'
import { checkout } from '../../lib/tree/checkout/checkout.js'
import { compareFolders } from '../../lib/tree/compare-folders.js'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import { createServer } from '../../server/cairn-server.js'
import { seededRandom } from '../support/seeded-random.js'

/*
 * Random single-byte flips over everything that a repository keeps: each is found by fsck or
 * changes nothing, no read gives wrong bytes, and a repair from a remote heals it.
 */

const isLong = process.env['CAIRN_TEST_LONG'] === '1'
const flips = isLong ? 200 : 10
const seed = Number(process.env['CAIRN_TEST_SEED'] ?? Date.now() % 1_000_000)

/** Makes a tree, and a repository that has two states of it. */
async function makeSound(
  folder: string,
  layout: StoreLayout,
): Promise<{ source: string; root: string }> {
  const source = join(folder, 'source')
  writeTree(source, 'new')
  const algorithm = findAlgorithmByName('blake3')
  if (algorithm === undefined) throw new Error('no algorithm')
  const root = join(folder, 'sound')
  const compression = layout === 'pack' ? 'zstd:3' : 'none'
  using repository = await initRepository(root, { algorithm, layout, compression })
  writeTree(source, 'old')
  await storeAs(root, source, 'tag')
  writeTree(source, 'new')
  await storeAs(root, source, 'tag')
  if (layout === 'pack') await repository.rebuildIndex()
  await repository.remotes.add('origin', 'http://127.0.0.1:1/')
  return { source, root }
}

function writeTree(source: string, state: string): void {
  const random = seededRandom(4)
  const noise = Buffer.from(Array.from({ length: 40_000 }, () => random() * 256))
  for (const name of ['a', 'b', 'c/d', 'c/e/f']) {
    mkdirSync(dirname(join(source, name)), { recursive: true })
    writeFileSync(join(source, name), `content of ${name}`)
  }
  writeFileSync(join(source, 'state'), state)
  writeFileSync(join(source, 'noise'), noise)
  writeFileSync(join(source, 'text'), `${state} `.repeat(40_000))
}

async function storeAs(root: string, source: string, tag: string): Promise<void> {
  using repository = await openRepository(root)
  await using session = await repository.begin({
    purpose: 'store',
    publishing: 'gradual',
  })
  const { descriptor } = await storeApplication(source, session.objects)
  await session.objects.publish([descriptor.digest])
  await repository.tags.set(tag, descriptor)
}

/** Files whose bytes matter: not locks, counters or what is made anew unasked. */
function keptFiles(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter(name => /^(objects\/|packs\/|refs\/|logs\/|config$)/.test(name))
    .filter(
      name =>
        lstatSync(join(root, name)).isFile() && lstatSync(join(root, name)).size > 0,
    )
    .toSorted((one, other) => (one < other ? -1 : 1))
}

async function findings(root: string): Promise<string[]> {
  try {
    using repository = await openRepository(root)
    const found: string[] = []
    for await (const { severity, kind } of repository.check({ objects: 'all' })) {
      if (severity === 'error') found.push(kind)
    }
    return found
  } catch (error) {
    if (error instanceof CairnError) return [error.code]
    throw error
  }
}

/** The history of the tag, as far as it can be read. */
async function history(root: string): Promise<string> {
  try {
    using repository = await openRepository(root)
    const { id, algorithm, compression } = repository.config
    const log = await repository.tags.log('tag')
    const entries = log.map(one => [
      one.kind,
      one.sequence,
      one.time,
      one.who,
      one.message,
    ])
    return [id, algorithm.name, compression, ...entries].join(' ')
  } catch (error) {
    if (error instanceof CairnError) return error.code
    throw error
  }
}

/** What a checkout gives: whether it failed, and what it got wrong. */
async function readBack(
  root: string,
  source: string,
  to: string,
): Promise<'failed' | readonly string[]> {
  rmSync(to, { recursive: true, force: true })
  try {
    using repository = await openRepository(root)
    const { digest } = await repository.tags.get('tag')
    await checkout(repository.objects, { application: digest }, to)
  } catch (error) {
    if (error instanceof CairnError) return 'failed'
    throw error
  }
  const ignored = { ignore: ['modification-time'] } as const
  const { differences } = await compareFolders(source, to, ignored)
  return differences.map(({ path, part }) => `${path.toString()}: ${part}`)
}

for (const layout of ['pack', 'loose'] as const) {
  t.test(`a flipped byte is found, served to nobody, and healed: ${layout}`, async t => {
    t.comment(`CAIRN_TEST_SEED=${seed}`)
    const random = seededRandom(seed)
    const folder = t.testdir()
    const { source, root } = await makeSound(folder, layout)
    await using server = createServer({ root })
    const { port } = await server.listen()
    const url = `http://127.0.0.1:${port}/`
    const sound = await history(root)
    const files = keptFiles(root)
    const work = join(folder, 'flipped')
    const out = join(folder, 'out')
    for (let n = 0; n < flips; n++) {
      rmSync(work, { recursive: true, force: true })
      cpSync(root, work, { recursive: true })
      // Every third flip hits small files, which would hardly ever be met.
      const small = files.filter(name => !/^(objects|packs)\//.test(name))
      const among = n % 3 === 0 ? small : files
      const name = among[Math.floor(random() * among.length)] ?? ''
      const bytes = readFileSync(join(work, name))
      const offset = Math.floor(random() * bytes.length)
      const mask = 1 + Math.floor(random() * 255)
      bytes.writeUInt8(bytes.readUInt8(offset) ^ mask, offset)
      writeFileSync(join(work, name), bytes)
      const where = `flip ${n}: ${relative(root, join(root, name))} byte ${offset} ^ ${mask}`

      const found = await findings(work)
      const read = await readBack(work, source, out)
      if (read !== 'failed') t.same(read, [], `${where}: no wrong bytes`)
      const isHarmless = read !== 'failed' && (await history(work)) === sound
      t.ok(found.length > 0 || isHarmless || isTail(name, found), `${where}: is found`)

      await using remote = new RemoteObjectStore(url)
      const report = await repairRepository(work, { sources: [new RemoteSource(remote)] })
      const errors = report.unhealed.filter(({ severity }) => severity === 'error')
      t.same(errors, [], `${where}: is healed`)
      t.same(await findings(work), [], `${where}: fsck is clean afterwards`)
      t.same(await readBack(work, source, out), [], `${where}: checks out as it was`)
    }
  })
}

// Nothing tells a damaged last record of a log from one that a power loss cut off: it is
// passed over, and the tag keeps its value. A new id or a lesser level is as good as the old.
function isTail(name: string, found: readonly string[]): boolean {
  return found.length === 0 && (name.startsWith('logs/') || name === 'config')
}
