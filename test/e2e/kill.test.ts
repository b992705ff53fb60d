import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cairn, cairnJson, startCairn, startServer } from '../support/run-cairn.js'
import { seededRandom } from '../support/seeded-random.js'

// Kills the client or the server at random moments of pushes and pulls. Afterwards both
// repositories are whole, the tag is old or new, a repeat succeeds, nothing is left over.

const rounds = process.env['CAIRN_TEST_LONG'] === undefined ? 2 : 50
const seed = Number(process.env['CAIRN_TEST_SEED'] ?? Date.now() % 1_000_000)
const random = seededRandom(seed)

type Victim = 'client' | 'server'
type Direction = 'push' | 'pull'

t.setTimeout(rounds * 300_000)
t.comment(`seed ${seed}, ${rounds} rounds each`)

for (const direction of ['push', 'pull'] as const) {
  for (const victim of ['client', 'server'] as const) {
    t.test(`survives a killed ${victim} during ${direction}`, async t => {
      for (let round = 0; round < rounds; round++)
        await killOnce(t, direction, victim, round)
    })
  }
}

async function killOnce(t: Test, direction: Direction, victim: Victim, round: number) {
  const folder = join(t.testdir({ [String(round)]: {} }), String(round))
  const near = join(folder, 'near')
  const far = join(folder, 'served', 'app')
  mkdirSync(join(folder, 'served'))
  const [source, target] = direction === 'push' ? [near, far] : [far, near]
  // Both layouts, and both ways between them, within four rounds.
  await run(t, ['init', '--repo', near, '--layout', layoutOf(round)])
  await run(t, ['init', '--repo', far, '--layout', layoutOf(round >> 1)])
  const oldTree = makeTree(join(folder, 'old'), 300)
  const newTree = makeTree(join(folder, 'new'), 600)
  const oldDigest = await store(t, source, oldTree)
  const first = await startServer(['--root', join(folder, 'served')])
  await run(t, transfer(direction, near, first.url))
  const newDigest = await store(t, source, newTree)

  const client = startCairn(transfer(direction, near, first.url))
  const clientEnd = once(client, 'exit')
  const delay = 50 + random() * 900
  const timer = setTimeout(() => {
    ;(victim === 'client' ? client : first.process).kill('SIGKILL')
  }, delay)
  await clientEnd
  clearTimeout(timer)
  await first.stop(victim === 'client' ? 'SIGTERM' : 'SIGKILL')

  const where = `${direction}, ${victim} killed after ${delay.toFixed(0)} ms`
  for (const repository of [near, far]) await checkWhole(t, repository, where)
  const left = await tagDigest(target)
  t.ok(left === oldDigest || left === newDigest, `${where}: the tag is old or new`)

  const second = await startServer(['--root', join(folder, 'served')])
  await run(t, transfer(direction, near, second.url))
  await second.stop()
  t.equal(await tagDigest(target), newDigest, `${where}: a repeat succeeds`)
  for (const repository of [near, far]) {
    t.same(readdirSync(join(repository, 'temp')), [], `${where}: nothing is left over`)
  }
}

function layoutOf(number: number): string {
  return number % 2 === 0 ? 'pack' : 'loose'
}

async function checkWhole(t: Test, repository: string, where: string): Promise<void> {
  const { code, stdout, stderr } = await cairn(['fsck', '--repo', repository])
  t.equal(code, 0, `${where}: fsck of ${repository}: ${stdout}${stderr}`)
}

function transfer(direction: Direction, near: string, url: string): string[] {
  return [direction, `${url}/app`, 'tree', '--repo', near, '--no-progress']
}

async function store(
  t: Test,
  repository: string,
  tree: string,
): Promise<string | undefined> {
  await run(t, ['store', tree, '-t', 'tree', '--repo', repository])
  return tagDigest(repository)
}

async function tagDigest(repository: string): Promise<string | undefined> {
  const list = await cairnJson(['tag', 'list', '--repo', repository])
  const tags = list['tags'] as { name: string; digest: string }[]
  return tags.find(({ name }) => name === 'tree')?.digest
}

async function run(t: Test, args: readonly string[]): Promise<void> {
  const { code, stderr } = await cairn(args)
  if (code !== 0) t.fail(`cairn ${args.join(' ')}: ${stderr}`)
}

function makeTree(folder: string, files: number): string {
  mkdirSync(folder)
  for (let index = 0; index < files; index++) {
    const place = join(folder, `d${index % 20}`)
    mkdirSync(place, { recursive: true })
    writeFileSync(
      join(place, `f${index}`),
      `${folder.length}-${index}\n`.repeat(1 + (index % 400)),
    )
  }
  cpSync(join(folder, 'd1'), join(folder, 'copy'), { recursive: true })
  return folder
}
