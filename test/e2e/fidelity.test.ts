import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sameTrees } from '../support/compare-trees.js'
import { deepFolder } from '../support/deep-folder.js'
import { isRoot, makeHardTree } from '../support/hard-tree.js'
import { cairn, startServer } from '../support/run-cairn.js'

// One of everything through store, push, pull and checkout, by the program that users run.

const skip = isRoot ? false : 'needs root to make devices and foreign owners'
const nobody = 65_534

type Document = { readonly [key: string]: unknown }

t.test(
  'brings one of everything through two repositories, for every layout',
  { skip },
  async t => {
    for (const kind of [
      ['--layout', 'loose'],
      ['--layout', 'pack'],
      ['--compression', 'zstd'],
    ]) {
      const folder = deepFolder(t)
      const { source, third } = await pulled(t, folder, kind)
      const out = join(folder, 'out')
      const report = await succeed(t, ['checkout', 'tree', out, '--repo', third])
      t.same(report['leftOut'], [], `${kind.join(' ')}: nothing is left out`)
      await sameTrees(t, source, out)
    }
  },
)

t.test('tells an ordinary user exactly what it left out', { skip }, async t => {
  const folder = deepFolder(t)
  const { third } = await pulled(t, folder, [])
  chmodSync(folder, 0o755)
  const place = join(folder, 'own')
  mkdirSync(place)
  chownSync(place, nobody, nobody)
  execFileSync('chown', ['-R', `${nobody}:${nobody}`, third])
  const out = join(place, 'out')
  const outcome = await cairn(['checkout', 'tree', out, '--repo', third, '--json'], {
    uid: nobody,
    gid: nobody,
  })
  t.equal(outcome.code, 0, outcome.stderr)
  const { leftOut } = JSON.parse(outcome.stdout) as {
    leftOut: readonly { readonly kind: string; readonly count: number }[]
  }
  const kinds = leftOut.map(({ kind }) => kind).toSorted()
  for (const kind of ['owner', 'device']) {
    t.ok(
      kinds.some(found => found.includes(kind)),
      `${kind} is told: ${kinds.join(', ')}`,
    )
  }
  t.ok(leftOut.every(({ count }) => count > 0))
})

async function pulled(
  t: Test,
  folder: string,
  kind: readonly string[],
): Promise<{ source: string; third: string }> {
  const [source, near, third] = ['source', 'near', 'third'].map(name =>
    join(folder, name),
  )
  if (source === undefined || near === undefined || third === undefined) {
    throw new Error('three names have three paths')
  }
  makeHardTree(source)
  const far = join(folder, 'served', 'app')
  mkdirSync(join(folder, 'served'))
  for (const repo of [near, far, third]) {
    await succeed(t, ['init', ...kind, '--repo', repo])
  }
  await succeed(t, ['store', source, '-t', 'tree', '--mtime', '--repo', near])
  await using server = await startServer(['--root', join(folder, 'served')])
  await succeed(t, ['push', `${server.url}/app`, 'tree', '--repo', near])
  await succeed(t, ['pull', `${server.url}/app`, 'tree', '--repo', third])
  for (const repo of [near, far, third]) await succeed(t, ['fsck', '--repo', repo])
  return { source, third }
}

async function succeed(t: Test, args: readonly string[]): Promise<Document> {
  const { code, stdout, stderr } = await cairn([...args, '--json'])
  if (code !== 0) throw new Error(`cairn ${args.join(' ')}: ${stderr}`)
  t.pass(args[0] ?? '')
  return JSON.parse(stdout) as Document
}
