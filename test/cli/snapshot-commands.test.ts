import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { unmount } from '../../lib/system/mount.js'
import { isRoot } from '../support/hard-tree.js'
import { changeTree, makeLowerTree, shell } from '../support/layer-trees.js'
import { cairn, cairnJson, startServer } from '../support/run-cairn.js'
import { socketFolder } from '../support/snapshots/socket-folder.js'
import { startSnapshotter } from '../support/start-snapshotter.js'

const run = promisify(execFile)
const skip = isRoot ? false : 'only root may mount'

type Place = {
  readonly folder: string
  readonly repo: string
  /** Runs `cairn snapshot …`, which must succeed, and gives what it printed. */
  readonly snapshot: (...args: readonly string[]) => Promise<string>
}

async function makePlace(t: Test, flags: readonly string[] = []): Promise<Place> {
  const folder = t.testdir({})
  const repo = join(folder, 'repo')
  await succeed(t, ['init'], repo)
  const snapshot = async (...args: readonly string[]): Promise<string> =>
    succeed(t, ['snapshot', ...args, ...flags], repo)
  return { folder, repo, snapshot }
}

async function succeed(t: Test, args: readonly string[], repo: string): Promise<string> {
  const { code, stdout, stderr } = await cairn([...args], { repo })
  t.equal(code, 0, `${args.join(' ')}: ${stderr}`)
  return stdout
}

/** Commits what an action does in a snapshot. */
async function commitLayer(
  { folder, snapshot }: Place,
  [name, ...parent]: readonly [string, string?],
  change: (root: string) => void,
): Promise<void> {
  const at = join(folder, `at-${name}`)
  mkdirSync(at)
  await snapshot('prepare', 'work', ...parent.filter(each => each !== undefined))
  await snapshot('mount', 'work', at)
  try {
    change(at)
  } finally {
    unmount(at)
  }
  await snapshot('commit', name, 'work')
}

t.test('makes, looks at, labels and removes snapshots', { skip }, async t => {
  const place = await makePlace(t)
  const { folder, repo, snapshot } = place
  t.equal(await snapshot('ls'), '')
  await commitLayer(place, ['base'], root => writeFileSync(join(root, 'file'), 'one'))
  t.match(await snapshot('prepare', 'work', 'base', '--label', 'a=1'), /overlay|bind/)
  t.match(await snapshot('view', 'look', 'base'), /bind/)
  t.same(rows(await snapshot('ls')), [
    ['Committed', 'base'],
    ['View', 'look', 'base'],
    ['Active', 'work', 'base'],
  ])
  t.match(await snapshot('ls', 'kind==active'), /^Active +work +base\n$/)
  t.same(rows(await snapshot('tree')), [
    ['base'],
    ['look', '(View)'],
    ['work', '(Active)'],
  ])
  await snapshot('label', 'work', 'a=', 'b=2')
  const info = await cairnJson(['snapshot', 'info', 'work'], { repo })
  t.match(info, { key: 'work', parent: 'base', kind: 'Active', labels: { b: '2' } })
  t.match(await snapshot('info', 'work'), /label +b=2/)
  t.match(await snapshot('usage', 'base'), /base/)
  t.match(await snapshot('usage'), /look/)
  t.match(await snapshot('mounts', 'look', '/mnt'), /mount .*\/mnt/)

  const at = join(folder, 'at')
  mkdirSync(at)
  await snapshot('mount', 'look', at)
  t.equal(readFileSync(join(at, 'file'), 'utf8'), 'one')
  t.throws(() => writeFileSync(join(at, 'file'), 'two'), { code: 'EROFS' })
  await succeed(t, ['snapshot', 'umount', at], repo)
  t.same(readdirSync(at), [])

  const refused = await cairn(['snapshot', 'rm', 'base'], { repo })
  t.equal(refused.code, 4)
  t.match(refused.stderr, /cannot remove snapshot base/)
  t.equal((await cairn(['snapshot', 'info', 'none'], { repo })).code, 3)
  await snapshot('rm', 'work', 'look', 'base')
  t.equal(await snapshot('ls'), '')
  const repaired = await succeed(t, ['snapshot', 'repair'], repo)
  t.match(repaired, /^kept 0 snapshots; the damaged log is /)
})

t.test('brings a snapshot to another repository unchanged', { skip }, async t => {
  const place = await makePlace(t)
  const { folder, repo, snapshot } = place
  const source = join(folder, 'source')
  makeLowerTree(source)
  // Its holes are read in full each time.
  shell(source, ['truncate -s 1M sparse'])
  await commitLayer(place, ['base'], root => shell(source, [`cp -a . '${root}'`]))
  await commitLayer(place, ['top', 'base'], changeTree)
  await snapshot('save', 'top', '-t', 'whole', '--mtime')
  await snapshot('save', 'base', '-t', 'lower', '--mtime')
  const changes = await cairnJson(
    ['snapshot', 'save', 'top', '-t', 'changes', '--diff'],
    { repo },
  )
  t.match(changes, { content: 'changes', tag: 'changes', leftOut: [] })
  t.match(await succeed(t, ['ls', '-R', 'changes'], repo), /^\.wh\.gone$/m)

  const other = join(folder, 'other')
  await succeed(t, ['init'], join(folder, 'served', 'app'))
  await succeed(t, ['init'], other)
  await using server = await startServer(['--root', join(folder, 'served')])
  for (const tag of ['whole', 'lower', 'changes']) {
    await succeed(t, ['push', `${server.url}/app`, tag], repo)
    await succeed(t, ['pull', `${server.url}/app`, tag], other)
  }
  await succeed(t, ['snapshot', 'load', 'whole', 'copy'], other)
  await succeed(t, ['snapshot', 'load', 'lower', 'base'], other)
  const loaded = await cairnJson(
    ['snapshot', 'load', 'changes', 'top', '--parent', 'base'],
    { repo: other },
  )
  t.match(loaded, { name: 'top', parent: 'base', shared: false, leftOut: [] })
  const again = await cairn(['snapshot', 'load', 'whole', 'again'], { repo: other })
  t.match(again.stderr, /again shares the files/)

  await sameMounted(t, folder, [
    [repo, 'top'],
    [other, 'copy'],
  ])
  await sameMounted(t, folder, [
    [repo, 'top'],
    [other, 'top'],
  ])
})

type Shown = readonly [repo: string, name: string]

async function sameMounted(
  t: Test,
  folder: string,
  shown: readonly [Shown, Shown],
): Promise<void> {
  const places: string[] = []
  try {
    for (const [index, [repo, name]] of shown.entries()) {
      const at = join(folder, `shown-${index}`)
      mkdirSync(at, { recursive: true })
      await succeed(t, ['snapshot', 'view', 'shown', name], repo)
      await succeed(t, ['snapshot', 'mount', 'shown', at], repo)
      places.push(at)
    }
    const [one = '', other = ''] = places
    const flags = ['-aHAXn', '--checksum', '--delete', '--itemize-changes']
    const { stdout } = await run('rsync', [...flags, `${one}/`, `${other}/`])
    t.equal(stdout, '', 'rsync has nothing to do')
  } finally {
    for (const at of places) unmount(at)
  }
  for (const [repo] of shown) await succeed(t, ['snapshot', 'rm', 'shown'], repo)
}

t.test('saves and loads through the socket of a snapshotter', { skip }, async t => {
  const socket = join(socketFolder(t), 'socket')
  const place = await makePlace(t, ['--socket', socket])
  const { folder, repo, snapshot } = place
  await startSnapshotter(t, ['--socket', socket, '--root', join(folder, 'root')])
  await commitLayer(place, ['base'], root => writeFileSync(join(root, 'file'), 'one'))
  await commitLayer(place, ['top', 'base'], root => writeFileSync(join(root, 'b'), '2'))
  await snapshot('save', 'base', '-t', 'base')
  await snapshot('save', 'top', '-t', 'top', '--diff')
  await snapshot('load', 'base', 'base2')
  await snapshot('load', 'top', 'top2', '--parent', 'base2')
  const listed = [
    ['Committed', 'base'],
    ['Committed', 'base2'],
    ['Committed', 'top', 'base'],
    ['Committed', 'top2', 'base2'],
  ]
  t.same(rows(await snapshot('ls')), listed)
  const refused = await cairn(['snapshot', 'load', 'base', 'base2', '--socket', socket], {
    repo,
  })
  t.equal(refused.code, 4)
  t.same(rows(await snapshot('ls')), listed, 'nothing is left behind')
})

function rows(text: string): string[][] {
  const lines = text.split('\n').filter(line => line.trim() !== '')
  return lines.map(line => line.trim().split(/ +/))
}
