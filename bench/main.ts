import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { cairnTools } from './cairn-tools.js'
import { peers } from './peers.js'
import { reportOn } from './report.js'
import { type Phase, phases, type Tool } from './tool.js'
import { type Trial, type TrialOptions, tryTool } from './trial.js'

// Measures cairn beside the programs that people use instead: npm run bench -- --help

const usage = `npm run bench -- [options] [TREE...]

TREE is rootfs-a, node_modules, bigfile (default: all that are there), or another folder
among the corpora; bench/corpora.sh makes them.

  --corpora DIR   where the trees are (or BENCH_CORPORA; default: /var/tmp/cairn-corpora)
  --work DIR      where disks are made (or BENCH_WORK; default: the folder for temporary
                  files); as root each tool gets a new ext4 there for every round
  --rounds N      default: 3
  --tools REGEX   only these, and cairn
  --phases LIST   of ${phases.join(', ')}: separated by commas
  --lock COMMAND  runs each measurement (or BENCH_LOCK): one that waits for a quiet machine
`

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    corpora: {
      type: 'string',
      default: process.env['BENCH_CORPORA'] ?? '/var/tmp/cairn-corpora',
    },
    work: { type: 'string', default: process.env['BENCH_WORK'] ?? tmpdir() },
    rounds: { type: 'string', default: '3' },
    tools: { type: 'string', default: '' },
    phases: { type: 'string', default: phases.join(',') },
    lock: { type: 'string', default: process.env['BENCH_LOCK'] ?? '' },
    help: { type: 'boolean', default: false },
  },
})

const upgrades: Readonly<Record<string, string>> = { 'rootfs-a': 'rootfs-b' }
const usual = ['rootfs-a', 'node_modules', 'bigfile']

if (flags.help) say(usage)
else for (const tree of chosenTrees()) say(`${benchmark(tree)}\n`)

function benchmark(name: string): string {
  const tree = join(flags.corpora, name)
  const upgrade = upgrades[name]
  const next = upgrade === undefined ? undefined : join(flags.corpora, upgrade)
  const work = join(resolve(flags.work), `cairn-bench-${process.pid}`)
  mkdirSync(work, { recursive: true })
  const folders = [tree, ...(next === undefined ? [] : [next])]
  const bytes = folders.map(bytesOf).reduce((sum, each) => sum + each, 0)
  const options: TrialOptions = {
    work,
    tree,
    next: next !== undefined && existsSync(next) ? next : undefined,
    lock: flags.lock.split(' ').filter(word => word !== ''),
    // The repository, two copies, and one that a collection makes.
    diskBytes: 4 * bytes + 2 ** 30,
    phases: new Set(flags.phases.split(',').filter(isPhase)),
  }
  const tools = chosenTools()
  const results = new Map<Tool, Trial[]>(tools.map(tool => [tool, []]))
  try {
    for (let round = 0; round < Number(flags.rounds); round++) {
      for (const tool of turned(tools, round)) {
        process.stderr.write(`${name}, round ${round + 1}: ${tool.name}\n`)
        for (const folder of folders) readThrough(folder)
        results.get(tool)?.push(tryTool(tool, options))
      }
    }
  } finally {
    rmSync(work, { recursive: true })
  }
  return reportOn(name, results)
}

function chosenTrees(): readonly string[] {
  if (positionals.length > 0) return positionals
  return usual.filter(name => existsSync(join(flags.corpora, name)))
}

function chosenTools(): readonly Tool[] {
  const wanted = peers.filter(({ name }) => new RegExp(flags.tools).test(name))
  return [...cairnTools, ...wanted].filter(({ name, program }) => {
    const isThere = spawnSync('which', [program]).status === 0
    if (!isThere)
      process.stderr.write(`${name} is left out: ${program} is not installed\n`)
    return isThere
  })
}

/** The same row, begun somewhere else: who is first may be at an advantage. */
function turned<Item>(items: readonly Item[], by: number): readonly Item[] {
  const at = by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

/** So that nobody waits for the disk that the tree lies on. */
function readThrough(folder: string): void {
  spawnSync('bash', ['-c', `tar -C ${folder} -cf - . | cat > /dev/null`])
}

function bytesOf(folder: string): number {
  return Number(execFileSync('du', ['-sb', folder], { encoding: 'utf8' }).split('\t')[0])
}

function isPhase(text: string): text is Phase {
  return phases.some(phase => phase === text)
}

function say(text: string): void {
  process.stdout.write(text)
}
