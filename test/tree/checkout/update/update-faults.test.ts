import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { isLong, random, seed } from '../../../support/campaign.js'
import { sameTrees } from '../../../support/compare-trees.js'
import { deepFolder } from '../../../support/deep-folder.js'
import { isRoot } from '../../../support/hard-tree.js'
import { cairn, startCairn } from '../../../support/run-cairn.js'

const rounds = isLong ? 50 : 3
const noTimes = { ignore: ['modification-time'] } as const

t.comment(`seed ${seed}, ${rounds} rounds`)
t.setTimeout(60_000 + rounds * 20_000)

// Every file of one generation differs from that of the other, and so do some names.
function makeTree(folder: string, generation: string): void {
  for (let at = 0; at < 600; at++) {
    const place = join(folder, `d${at % 40}`, at % 3 === 0 ? generation : 'both')
    mkdirSync(place, { recursive: true })
    const lines = (1 + (at % 300)) * (generation === 'two' ? 8 : 1)
    writeFileSync(join(place, `f${at}`), `${generation} ${at}\n`.repeat(lines))
  }
}

async function run(t: Test, args: readonly string[]): Promise<void> {
  const { code, stderr } = await cairn(args)
  if (code !== 0) t.fail(`cairn ${args.join(' ')}: ${stderr}`)
}

async function storeTwo(t: Test, base: string): Promise<string> {
  const repo = join(base, 'repo')
  await run(t, ['init', '--layout', 'pack', '--repo', repo])
  for (const generation of ['one', 'two']) {
    makeTree(join(base, generation), generation)
    await run(t, ['store', join(base, generation), '-t', generation, '--repo', repo])
  }
  return repo
}

t.test('an update that was killed is finished by repeating it', async t => {
  const base = deepFolder(t, 'memory')
  const repo = await storeTwo(t, base)
  const out = join(base, 'out')
  await run(t, ['checkout', 'one', out, '--repo', repo])
  for (let round = 0; round < rounds; round++) {
    const to = round % 2 === 0 ? 'two' : 'one'
    const update = ['checkout', '--update', to, out, '--repo', repo, '--no-progress']
    const child = startCairn(update)
    const ended = once(child, 'exit')
    const working = new AbortController()
    // The work folder appears when the first entry is about to be made.
    const watcher = watch(out, () => working.abort())
    await Promise.race([once(working.signal, 'abort'), ended])
    await sleep(random() * 120)
    child.kill('SIGKILL')
    await ended
    watcher.close()
    await run(t, update)
    await sameTrees(t, join(base, to), out, noTimes)
  }
})

t.test(
  'an update that finds the disk full says so, and goes on later',
  { skip: isRoot ? false : 'needs root to mount' },
  async t => {
    const base = deepFolder(t, 'memory')
    const repo = await storeTwo(t, base)
    const disk = join(base, 'disk')
    mkdirSync(disk)
    const options = ['-t', 'tmpfs', '-o', 'size=16m', 'none', disk]
    if (spawnSync('mount', options).status !== 0) {
      t.comment('cannot mount here')
      return
    }
    try {
      const out = join(disk, 'out')
      await run(t, ['checkout', 'one', out, '--repo', repo])
      const free = spawnSync('stat', ['-f', '-c', '%a', disk]).stdout.toString()
      const filling = Buffer.alloc((Number(free) - 4) * 4096, 1)
      writeFileSync(join(disk, 'filling'), filling)
      const update = ['checkout', '--update', 'two', out, '--repo', repo]
      const full = await cairn(update)
      t.equal(full.code, 8, full.stderr)
      t.match(full.stderr, /no space left to write d/)
      t.notOk(readdirSync(out).some(name => name.startsWith('.cairn')))
      rmSync(join(disk, 'filling'))
      await run(t, update)
      await sameTrees(t, join(base, 'two'), out, noTimes)
    } finally {
      spawnSync('umount', [disk])
    }
  },
)
