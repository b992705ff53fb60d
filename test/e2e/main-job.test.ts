import { execFile } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { cairn, startServer } from '../support/run-cairn.js'

// Store -> push -> pull -> checkout of a real root filesystem, compared by rsync, which
// shares no code with us. CAIRN_TEST_ROOTFS names a tree to use; the long form makes one.

const run = promisify(execFile)
const isRoot = process.getuid?.() === 0

t.test(
  'brings a real tree through two repositories unchanged',
  { skip: skipReason() },
  async t => {
    const folder = t.testdir({ served: {} })
    const source = await realTree(folder)
    const ways = [
      { mtimes: false, kind: [] },
      { mtimes: true, kind: ['--compression', 'zstd'] },
      { mtimes: true, kind: ['--layout', 'loose'] },
    ]
    for (const [number, { mtimes, kind }] of ways.entries()) {
      const place = join(folder, String(number))
      await roundTrip(t, { source, place, mtimes, kind })
    }
  },
)

t.test(
  'gives the same digest for a second store and for a copy',
  { skip: skipReason() },
  async t => {
    const folder = t.testdir()
    const source = await realTree(folder)
    const repo = join(folder, 'repo')
    await succeed(t, ['init', '--repo', repo])
    const first = await succeed(t, ['store', source, '-t', 'first', '--repo', repo])
    const again = await succeed(t, ['store', source, '-t', 'again', '--repo', repo])
    await run('cp', ['-a', source, join(folder, 'elsewhere')])
    const copy = await succeed(t, [
      'store',
      join(folder, 'elsewhere'),
      '-t',
      'copy',
      '--repo',
      repo,
    ])
    t.equal(again['digest'], first['digest'])
    t.equal(copy['digest'], first['digest'])
  },
)

type RoundTrip = {
  readonly source: string
  readonly place: string
  readonly mtimes: boolean
  /** Arguments of init. */
  readonly kind: readonly string[]
}

async function roundTrip(
  t: Test,
  { source, place, mtimes, kind }: RoundTrip,
): Promise<void> {
  const [near, far, third] = ['near', 'served/app', 'third'].map(name =>
    join(place, name),
  )
  if (near === undefined || far === undefined || third === undefined) return
  mkdirSync(join(place, 'served'), { recursive: true })
  for (const repository of [near, far, third])
    await succeed(t, ['init', '--repo', repository, ...kind])
  const stored = await succeed(t, [
    'store',
    source,
    '-t',
    'tree',
    '--repo',
    near,
    ...(mtimes ? ['--mtime'] : []),
  ])
  await using server = await startServer(['--root', join(place, 'served')])
  await succeed(t, ['push', `${server.url}/app`, 'tree', '--repo', near])
  await succeed(t, ['pull', `${server.url}/app`, 'tree', '--repo', third])
  await succeed(t, ['checkout', 'tree', join(place, 'out'), '--repo', third])
  const options = mtimes ? '-aHAXn' : '-rlpgoDHAXn'
  const compared = await run(
    'rsync',
    [
      options,
      '--checksum',
      '--delete',
      '--itemize-changes',
      `${source}/`,
      `${join(place, 'out')}/`,
    ],
    { maxBuffer: 1 << 28 },
  )
  t.equal(compared.stdout, '', `rsync ${options} finds nothing to change`)
  const checked = await succeed(t, [
    'store',
    join(place, 'out'),
    '--repo',
    third,
    ...(mtimes ? ['--mtime'] : []),
  ])
  t.equal(
    checked['digest'],
    stored['digest'],
    'the checkout has the digest of the source',
  )
  for (const repository of [near, far, third])
    await succeed(t, ['fsck', '--repo', repository])
}

async function succeed(
  t: Test,
  args: readonly string[],
): Promise<{ readonly [key: string]: unknown }> {
  const outcome = await cairn([...args, '--json'])
  if (outcome.code !== 0) t.fail(`cairn ${args.join(' ')}: ${outcome.stderr}`)
  return JSON.parse(outcome.stdout) as { readonly [key: string]: unknown }
}

async function realTree(folder: string): Promise<string> {
  const given = process.env['CAIRN_TEST_ROOTFS']
  if (given !== undefined) return given
  const tree = join(folder, 'tree')
  if (existsSync(tree)) return tree
  if (process.env['CAIRN_TEST_LONG'] !== undefined) {
    await run('debootstrap', ['--variant=minbase', 'bookworm', tree], {
      maxBuffer: 1 << 28,
    })
    return tree
  }
  mkdirSync(tree)
  for (const part of ['etc', 'usr/lib/systemd', 'usr/sbin', 'var/lib/dpkg']) {
    if (!existsSync(join('/', part))) continue
    await run('cp', ['-a', '--parents', part, tree], { cwd: '/' })
  }
  return tree
}

function skipReason(): string | false {
  if (!isRoot) return 'restoring owners needs root'
  return existsSync('/usr/bin/rsync') ? false : 'rsync is not installed'
}
