import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cairn, cairnJson } from '../support/run-cairn.js'
import { rudeName, storeFolder } from '../support/stored-folder.js'

const isRoot = process.getuid?.() === 0

t.test('checkout makes the folder again', async t => {
  const { repo, source, folder, digest } = await storeFolder(t)
  const copy = join(folder, 'copy')
  const report = await cairnJson(['checkout', 'app', copy], { repo })
  t.match(report, { digest, path: null, destination: copy, entries: 7, leftOut: [] })
  t.same(namesIn(copy), namesIn(source))
  t.equal(
    readFileSync(Buffer.concat([Buffer.from(`${copy}/`), rudeName]), 'utf8'),
    'rude',
  )
  t.equal(readlinkSync(join(copy, 'link')), 'etc/name')
  t.equal(statSync(join(copy, 'etc/name')).nlink, 2)
})

t.test('checkout takes a part of a tree, and one time for all', async t => {
  const { repo, folder } = await storeFolder(t)
  const part = join(folder, 'part')
  const run = await cairn(['checkout', 'app:etc', part, '--touch', '1000'], { repo })
  t.equal(run.code, 0, run.stderr)
  t.same(readdirSync(part), ['name', 'other-name'])
  t.equal(statSync(join(part, 'name')).mtimeMs, 1_000_000)
  const bad = await cairn(['checkout', 'app', join(folder, 'x'), '--touch', 'now'], {
    repo,
  })
  t.equal(bad.code, 2)
})

t.test('checkout refuses a filled folder without --force', async t => {
  const { repo, folder } = await storeFolder(t)
  const filled = join(folder, 'filled')
  mkdirSync(filled)
  writeFileSync(join(filled, 'mine'), 'mine')
  const refused = await cairn(['checkout', 'app', filled], { repo })
  t.equal(refused.code, 9)
  t.same(readdirSync(filled), ['mine'])
  const forced = await cairn(['checkout', 'app', filled, '--force'], { repo })
  t.equal(forced.code, 0, forced.stderr)
  t.equal(readFileSync(join(filled, 'mine'), 'utf8'), 'mine')
  t.equal(readFileSync(join(filled, 'run'), 'utf8'), '#!/bin/sh\n')
})

t.test('checkout --update refuses to lose local changes without --force', async t => {
  const { repo, source, folder } = await storeFolder(t)
  const copy = join(folder, 'copy')
  t.equal((await cairn(['checkout', 'app', copy], { repo })).code, 0)
  writeFileSync(join(source, 'run'), '#!/bin/false\n')
  t.equal((await cairn(['store', source, '-t', 'app'], { repo })).code, 0)
  writeFileSync(join(copy, 'run'), 'mine')
  const update = ['checkout', '--update', 'app', copy]
  const refused = await cairn(update, { repo })
  t.equal(refused.code, 9)
  t.match(refused.stderr, /local changes would be lost: run\n/)
  t.equal(readFileSync(join(copy, 'run'), 'utf8'), 'mine')
  const forced = await cairn([...update, '--force'], { repo })
  t.equal(forced.code, 0, forced.stderr)
  t.equal(readFileSync(join(copy, 'run'), 'utf8'), '#!/bin/false\n')
  t.match(await cairnJson(update, { repo }), { files: 0, bytes: 0 })
})

t.test('checkout writes over no repository, and into none', async t => {
  const { repo, folder } = await storeFolder(t)
  const before = readdirSync(repo, { recursive: true, encoding: 'utf8' }).toSorted()
  symlinkSync(repo, join(folder, 'link'))
  for (const name of ['', 'objects', 'refs/tags', 'refs/new']) {
    for (const way of [repo, join(folder, 'link')]) {
      const place = join(way, name)
      const run = await cairn(['checkout', 'app', place, '--force'], { repo })
      t.equal(run.code, 9, place)
      t.match(run.stderr, /repository/)
    }
  }
  t.same(readdirSync(repo, { recursive: true, encoding: 'utf8' }).toSorted(), before)
})

t.test('checkout maps owners', { skip: !isRoot && 'only root may chown' }, async t => {
  const { repo, folder } = await storeFolder(t)
  const mapped = join(folder, 'mapped')
  const run = await cairn(['checkout', 'app', mapped, '--map-owner', '0:100000:10'], {
    repo,
  })
  t.equal(run.code, 0, run.stderr)
  t.equal(statSync(join(mapped, 'run')).uid, 100_000)
  const bad = await cairn(['checkout', 'app', join(folder, 'x'), '--map-owner', 'me'], {
    repo,
  })
  t.equal(bad.code, 2)
})

t.test(
  'checkout warns of what it may not restore',
  { skip: !isRoot && 'needs root' },
  async t => {
    const { repo, folder } = await storeFolder(t)
    const ordinary = { repo, uid: 65_534, gid: 65_534 }
    chmodSync(repo, 0o755)
    openUp(repo)
    chmodSync(folder, 0o777)
    const run = await cairn(['checkout', 'app', join(folder, 'copy')], ordinary)
    t.equal(run.code, 0, run.stderr)
    t.match(run.stderr, /warning: left out owner 6 times: /)
  },
)

t.test(
  'a repository that may not be written gives exit code 6',
  { skip: !isRoot && 'needs root' },
  async t => {
    const { repo, source } = await storeFolder(t)
    openUp(repo)
    const ordinary = { repo, uid: 65_534, gid: 65_534 }
    t.equal((await cairn(['ls', 'app'], ordinary)).code, 0)
    for (const args of [
      ['store', source],
      ['tag', 'set', 'new', 'app'],
      ['remote', 'add', 'origin', 'http://127.0.0.1:1/'],
    ]) {
      const run = await cairn(args, ordinary)
      t.equal(run.code, 6, `${args.join(' ')}: ${run.stderr}`)
      t.match(run.stderr, /^(storing .*\n)?cairn: [^\n]*\n$/)
    }
  },
)

function namesIn(folder: string): string[] {
  return readdirSync(folder, { encoding: 'buffer' })
    .map(name => name.toString('latin1'))
    .toSorted()
}

/** Lets everyone read a repository. */
function openUp(repo: string): void {
  chmodSync(repo, 0o755)
  for (const name of readdirSync(repo, { recursive: true, encoding: 'utf8' })) {
    const path = join(repo, name)
    chmodSync(path, statSync(path).isDirectory() ? 0o755 : 0o644)
  }
}
