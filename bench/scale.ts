import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openRepository } from '../lib/repository/open.js'
import { storeManyFiles } from '../test/support/many-objects.js'
import { type Cost, measure, prepare } from './measure.js'

// What commands cost in repositories of 100,000, 1 million and 5 million small files, or of
// as many as are named: npm run bench:scale -- [--only REGEX] [FILES...]. BENCH_WORK and
// BENCH_LOCK as for the other benchmarks.

const work = join(
  resolve(process.env['BENCH_WORK'] ?? tmpdir()),
  `cairn-scale-${process.pid}`,
)
const lock = (process.env['BENCH_LOCK'] ?? '').split(' ').filter(word => word !== '')
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', default: '' } },
})
const only = new RegExp(flags.only)
const counts = positionals.map(Number)
const lookUps = 100_000

type Work = {
  readonly name: string
  readonly script: (root: string) => string
  /** Whether it has to look at every object. */
  readonly perObject: boolean
}

const cairn = `${process.execPath} ${fileURLToPath(new URL('../bin/main.js', import.meta.url))}`
const lookUp = fileURLToPath(new URL('scale-lookup.js', import.meta.url))

const hasQuickCheck = execFileSync('bash', ['-c', `${cairn} fsck --help`]).includes(
  '--quick',
)

const jobs: readonly Work[] = [
  { name: 'start (tag list)', script: () => `${cairn} tag list`, perObject: false },
  {
    name: 'store of one more tree',
    script: root => `${cairn} store ${root}.tree -t more`,
    perObject: false,
  },
  { name: 'gc --dry-run', script: () => `${cairn} gc --dry-run`, perObject: true },
  ...(hasQuickCheck
    ? [{ name: 'fsck --quick', script: () => `${cairn} fsck --quick`, perObject: true }]
    : []),
  { name: 'fsck', script: () => `${cairn} fsck`, perObject: true },
]

mkdirSync(work, { recursive: true })
try {
  say('| files | work | seconds | µs an object | peak MiB |\n|--:|---|--:|--:|--:|\n')
  for (const files of counts.length > 0 ? counts : [100_000, 1_000_000, 5_000_000]) {
    await measureAt(files)
  }
} finally {
  rmSync(work, { recursive: true })
}

async function measureAt(files: number): Promise<void> {
  const root = join(work, String(files))
  prepare(`${cairn} init --repo ${root}`)
  const began = performance.now()
  {
    using repository = await openRepository(root)
    await storeManyFiles(repository, files, 'many')
  }
  const wall = (performance.now() - began) / 1000
  const memory = process.resourceUsage().maxRSS * 1024
  row(files, 'put by a session', { wall, cpu: 0, memory }, files)
  makeTree(`${root}.tree`)
  const seconds = execFileSync(process.execPath, [
    lookUp,
    root,
    String(files),
    String(lookUps),
  ])
  row(files, 'look-up', { wall: Number(seconds), cpu: 0, memory: 0 }, lookUps)
  const record = join(work, 'time')
  for (const { name, script, perObject } of jobs) {
    if (!only.test(name)) continue
    const command = `export CAIRN_REPO=${root}; ${script(root)}`
    row(files, name, measure(command, { record, lock }), perObject ? files : undefined)
  }
  rmSync(root, { recursive: true })
}

function row(
  files: number,
  name: string,
  { wall, memory }: Cost,
  objects: number | undefined,
): void {
  const each = objects === undefined ? '' : ((wall / objects) * 1e6).toFixed(2)
  const peak = memory === 0 ? '' : (memory / 2 ** 20).toFixed(0)
  say(`| ${files} | ${name} | ${wall.toFixed(3)} | ${each} | ${peak} |\n`)
}

/** A tree of which nothing is stored yet. */
function makeTree(folder: string): void {
  mkdirSync(folder)
  for (let index = 0; index < 1000; index++) {
    writeFileSync(join(folder, `file-${index}`), `${folder} ${index}`)
  }
}

function say(text: string): void {
  process.stdout.write(text)
}
