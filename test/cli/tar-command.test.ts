import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { nodeCommand } from '../support/node-command.js'
import { archive, member } from '../support/raw-archive.js'
import { cairn, cairnJson, cairnPath } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('takes a tree out as an archive and stores it again', async t => {
  const { folder, source, repo } = await storeFolder(t)
  const stored = await cairnJson(['store', source, '--mtime', '-t', 'timed'], { repo })
  const file = join(folder, 'app.tar')
  const document = await cairnJson(['tar', 'export', 'timed', '-o', file], { repo })
  t.match(document, { digest: stored['digest'], file, path: null, leftOut: [] })
  const imported = await cairn(['tar', 'import', file, '-t', 'again'], { repo })
  t.equal(imported.code, 0, imported.stderr)
  t.equal(imported.stdout, `${String(stored['digest'])}\n`)
  t.match(imported.stderr, /; again names it/)
  const piped = await cairn(['tar', 'export', 'timed'], { repo })
  t.ok(piped.bytes.equals(readFileSync(file)), 'standard output has the same bytes')
})

t.test('reads standard input', async t => {
  const { source, repo } = await storeFolder(t)
  const packed = execFileSync('tar', ['-C', source, '-czf', '-', '.'])
  const [command, ...first] = nodeCommand
  const child = spawn(
    command,
    [...first, cairnPath, 'tar', 'import', '-', '-t', 'piped'],
    {
      env: { ...process.env, CAIRN_REPO: repo },
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  )
  child.stdin?.end(packed)
  t.equal(await new Promise(resolve => child.once('close', resolve)), 0)
  const listed = await cairn(['ls', 'piped'], { repo })
  t.match(listed.stdout, /^etc$/m)
})

t.test('sets no tag and keeps nothing of a refused archive', async t => {
  const { folder, repo } = await storeFolder(t)
  const before = await cairnJson(['fsck'], { repo })
  const file = join(folder, 'hostile.tar')
  writeFileSync(
    file,
    archive(
      member('new', 'regular', { content: 'never stored before' }),
      member('../x', 'regular'),
    ),
  )
  const refused = await cairn(['tar', 'import', file, '-t', 'hostile'], { repo })
  t.equal(refused.code, 5)
  t.match(
    refused.stderr,
    /invalid archive at byte 1024, entry "\.\.\/x": a name in a path/,
  )
  t.equal((await cairn(['show', 'hostile'], { repo })).code, 3)
  t.same(await cairnJson(['fsck'], { repo }), before)
})

t.test('leaves no half-written archive', async t => {
  const { folder, repo } = await storeFolder(t)
  const run = await cairn(['tar', 'export', 'app:nothing', '-o', join(folder, 'x')], {
    repo,
  })
  t.equal(run.code, 3)
  t.same(
    readdirSync(folder).filter(name => name.startsWith('x')),
    [],
  )
})

t.test('refuses JSON where the archive goes', async t => {
  const { repo } = await storeFolder(t)
  const run = await cairn(['tar', 'export', 'app', '--json'], { repo })
  t.equal(run.code, 2)
  t.match(run.stderr, /--json needs a file/)
})

t.test('refuses limits that are none', async t => {
  const { repo } = await storeFolder(t)
  for (const limit of ['0', '-1', 'many']) {
    const run = await cairn(['tar', 'import', '-', '-t', 'x', `--max-bytes=${limit}`], {
      repo,
    })
    t.equal(run.code, 2, limit)
  }
})
