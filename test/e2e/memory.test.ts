import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { fileMode } from '../../lib/object/file-mode.js'
import { openRepository } from '../../lib/repository/open.js'
import { putApplication, putDirectory, putHeader } from '../../lib/store/typed-object.js'
import { storeManyFiles } from '../support/many-objects.js'
import { cairn } from '../support/run-cairn.js'
import { plainHeader } from '../support/sample-tree.js'

const isLong = process.env['CAIRN_TEST_LONG'] === '1'
const million = 1_000_000
const reportPeak = fileURLToPath(new URL('../support/report-peak.js', import.meta.url))

/** Runs a command that must succeed; tells the most memory that it took, in 10^6 bytes. */
async function peakOf(root: string, args: readonly string[]): Promise<number> {
  const peakFile = `${root}.peak`
  const { code, stderr } = await cairn(['-q', ...args], {
    repo: root,
    nodeOptions: [`--import=${reportPeak}`],
    env: { PEAK_FILE: peakFile },
  })
  if (code !== 0) throw new Error(`cairn ${args.join(' ')}: ${stderr}`)
  return Math.round(Number(readFileSync(peakFile, 'latin1')) / million)
}

async function holds(
  t: Test,
  root: string,
  commands: readonly (readonly string[])[],
  bound: number,
): Promise<void> {
  for (const args of commands) {
    const peak = await peakOf(root, args)
    t.ok(peak <= bound, `cairn ${args.join(' ')}: at most ${bound} MB, found ${peak}`)
  }
}

async function newRepository(root: string): Promise<void> {
  const { code, stderr } = await cairn(['init'], { repo: root })
  if (code !== 0) throw new Error(stderr)
}

function wideName(index: number): Buffer {
  return Buffer.from(`${'n'.repeat(94)}${String(index).padStart(6, '0')}`)
}

/** Stores and tags one folder of so many files, which are all the same. */
async function storeWideFolder(root: string, count: number, tag: string): Promise<void> {
  using repository = await openRepository(root)
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const { objects } = session
  const header = await putHeader(objects, plainHeader(0o644))
  const rootHeader = await putHeader(objects, plainHeader(fileMode.directory | 0o755))
  const [file] = await objects.put([{ type: 'file', payload: Buffer.from('content') }])
  if (file === undefined) throw new Error('a session answered for no object')
  const entries = Array.from({ length: count }, (_, index) => {
    return { kind: 'regular' as const, name: wideName(index), header, file }
  })
  const rootDirectory = await putDirectory(objects, entries)
  const application = await putApplication(objects, { rootHeader, rootDirectory })
  await objects.publish([application.digest])
  await repository.tags.set(tag, application)
}

t.test('reads a folder of 120,000 entries in little more than its bytes', async t => {
  const root = join(t.testdir(), 'repository')
  await newRepository(root)
  await storeWideFolder(root, 120_000, 'wide')
  const commands = [
    ['ls', 'wide'],
    ['fsck'],
    ['fsck', '--quick'],
    ['bundle', 'create', `${root}.bundle`, 'wide'],
  ]
  await holds(t, root, commands, 180)
})

t.test('verifies 100,000 small files in flat memory', async t => {
  const root = join(t.testdir(), 'repository')
  await newRepository(root)
  {
    using repository = await openRepository(root)
    await storeManyFiles(repository, 100_000, 'many')
  }
  await holds(t, root, [['fsck'], ['gc', '--what-if-removed', 'many']], 190)
})

const skip = isLong ? false : 'takes minutes: CAIRN_TEST_LONG=1'

t.test('keeps every command below 250 MB for 300,000 names', { skip }, async t => {
  const folder = t.testdir({ wide: {} })
  const wide = join(folder, 'wide')
  for (let index = 0; index < 300_000; index++) {
    writeFileSync(join(wide, wideName(index).toString()), `content ${index}`)
  }
  await holdsEverywhere(t, wide, folder)
})

t.test('keeps every command below 250 MB for 1,000,000 files', { skip }, async t => {
  const folder = t.testdir({ many: {} })
  const many = join(folder, 'many')
  for (let index = 0; index < million; index++) {
    const below = join(many, String(Math.floor(index / 250)))
    if (index % 250 === 0) mkdirSync(below)
    writeFileSync(join(below, String(index)), `content ${index}`)
  }
  await holdsEverywhere(t, many, folder)
})

async function holdsEverywhere(t: Test, tree: string, folder: string): Promise<void> {
  const root = join(folder, 'repository')
  const out = join(folder, 'out')
  await newRepository(root)
  const commands = [
    ['store', tree, '-t', 'tree'],
    ['store', tree, '-t', 'tree'],
    ['ls', '-R', 'tree'],
    ['checkout', 'tree', out],
    ['gc', '--now'],
    ['gc', '--what-if-removed', 'tree'],
    ['fsck'],
    ['fsck', '--quick'],
    ['fsck', '--rebuild-index'],
    ['repair'],
    ['stats'],
    ['du'],
    ['tar', 'export', '-o', `${out}.tar`, 'tree'],
    ['tar', 'import', `${out}.tar`, '-t', 'again'],
    ['bundle', 'create', `${out}.bundle`, 'tree'],
  ]
  await holds(t, root, commands, 250)
  rmSync(out, { recursive: true })
}
