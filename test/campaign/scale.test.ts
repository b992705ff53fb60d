import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isLong } from '../support/campaign.js'
import { storeManyFiles } from '../support/many-objects.js'
import { makePackedRepository } from '../support/packed-repository.js'
import { cairn, cairnPath } from '../support/run-cairn.js'
import { needsStrace } from '../support/traced-run.js'

// What commands cost where there are many objects: memory, and calls that read.

const few = 2_000
const many = isLong ? 1_000_000 : 100_000
const memoryLimit = 250 * 2 ** 20

t.setTimeout(isLong ? 1_800_000 : 120_000)

t.test('stays small and quick among many objects', async t => {
  const folder = t.testdir({ few: {}, many: {}, tree: {} })
  const tree = makeTree(join(folder, 'tree'))
  const small = await fill(join(folder, 'few'), few)
  const large = await fill(join(folder, 'many'), many)
  for (const args of [
    ['tag', 'list'],
    ['store', tree, '-t', 'more'],
    ['gc', '--dry-run'],
    ['gc', '--why', 'more'],
    ['tag', 'remove', 'more'],
    ['gc', '--window', '0'],
  ]) {
    const peak = await peakMemory(t, large, args)
    const shown = `${args[0]} ${args[1]}: ${Math.round(peak / 2 ** 20)} MiB`
    t.ok(peak <= memoryLimit, shown)
  }
  await t.test('reads no more', { skip: needsStrace }, async t => {
    for (const args of [
      ['tag', 'list'],
      ['store', tree, '-t', 'more'],
      ['cat', `more:file-7`],
    ]) {
      const [little, much] = [small, large].map(root => countReads(t, root, args))
      if (little === undefined || much === undefined) return
      t.ok(much <= little + 40, `${args[0]}: ${little} reads, then ${much}`)
    }
  })
})

async function fill(folder: string, files: number): Promise<string> {
  using repository = await makePackedRepository(folder)
  await storeManyFiles(repository, files, 'many')
  return repository.root
}

/** Bytes that the command holds at most. */
async function peakMemory(
  t: Test,
  root: string,
  args: readonly string[],
): Promise<number> {
  const hook =
    "process.on('exit', () => require('fs').writeSync(2, " +
    "'peak ' + process.resourceUsage().maxRSS))"
  const file = join(root, '..', 'peak.cjs')
  writeFileSync(file, hook)
  const nodeOptions = ['--require', file]
  const { code, stderr } = await cairn([...args, '--repo', root], { nodeOptions })
  t.equal(code, 0, stderr)
  return Number(/peak (\d+)$/.exec(stderr)?.[1]) * 1024
}

/** How many calls that read files the command makes in the repository. */
function countReads(t: Test, root: string, args: readonly string[]): number {
  const log = join(root, '..', 'reads')
  const reading = 'trace=read,pread64,preadv,mmap'
  const command = [process.execPath, cairnPath, ...args, '--repo', root]
  const { status, stderr } = spawnSync(
    'strace',
    [
      '-f',
      '-y',
      '--seccomp-bpf',
      '-E',
      'NODE_OPTIONS',
      '-o',
      log,
      '-e',
      reading,
      ...command,
    ],
    { encoding: 'utf8' },
  )
  t.equal(status, 0, stderr)
  return readFileSync(log, 'latin1')
    .split('\n')
    .filter(line => line.includes(`<${root}/`)).length
}

function makeTree(folder: string): string {
  for (let index = 0; index < 500; index++) {
    writeFileSync(join(folder, `file-${index}`), `one more ${index}`)
  }
  return folder
}
