import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findSteadyFilesystem } from '../../lib/system/filesystem-id.js'
import { cairn, cairnJson } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('init makes a repository once', async t => {
  const repo = join(t.testdir(), 'new/repo')
  const made = await cairnJson(['init', '--algorithm', 'sha256'], { repo })
  t.match(made, {
    repository: repo,
    layout: 'pack',
    algorithm: 'sha256',
    compression: 'none',
  })
  t.match(made['id'], /^[0-9a-f]{32}$/)
  const again = await cairn(['init'], { repo })
  t.equal(again.code, 4)
  t.match(again.stderr, /is a repository already/)
})

t.test('store prints the digest alone, and the rest beside it', async t => {
  const { repo, source, digest } = await storeFolder(t)
  const run = await cairn(['store', source, '-t', 'again'], { repo })
  t.equal(run.code, 0)
  t.equal(run.stdout, `${digest}\n`)
  t.match(run.stderr, /stored 7 entries, 4 files of .*; again names it/)
  t.match(await cairnJson(['store', source, '--mtime'], { repo }), {
    type: 'application',
    tag: null,
    entries: 7,
    files: 4,
    leftOut: [],
  })
})

t.test('store keeps a stat cache unless told otherwise', async t => {
  const repo = join(t.testdir(), 'repo')
  await cairn(['init'], { repo })
  const cache = join(repo, 'cache')
  // Files that have not changed for a second.
  const source = import.meta.dirname
  const without = await cairn(['store', source, '--no-cache'], { repo })
  t.notOk(existsSync(cache))
  const descriptor = openSync(source, 'r')
  const isSteady = findSteadyFilesystem(descriptor) !== undefined
  closeSync(descriptor)
  await cairn(['store', source], { repo })
  t.equal(existsSync(cache), isSteady)
  rmSync(cache, { recursive: true, force: true })
  writeFileSync(cache, 'in the way')
  const warned = await cairn(['store', source], { repo })
  t.equal(warned.code, 0)
  t.equal(warned.stdout, without.stdout)
  t.equal(/the stat cache could not be written/.test(warned.stderr), isSteady)
})

t.test('store takes config and labels', async t => {
  const { repo, source, folder } = await storeFolder(t)
  const config = join(folder, 'config.json')
  writeFileSync(config, '{"command": ["/run"], "user": "www", "labels": {"a": "1"}}')
  const flags = ['--config', config, '--label', 'a=2', '--label', 'b=x=y']
  await cairn(['store', source, '-t', 'labelled', ...flags], { repo })
  const shown = await cairnJson(['show', 'labelled'], { repo })
  t.same(shown['config'], {
    command: ['/run'],
    user: 'www',
    labels: { a: '2', b: 'x=y' },
  })
  const text = await cairn(['show', 'labelled'], { repo })
  t.match(text.stdout, /label +a=2\nlabel +b=x=y\n/)
})

t.test('store refuses a bad config, label or tag before it reads anything', async t => {
  const { repo, folder } = await storeFolder(t)
  const config = join(folder, 'config.json')
  for (const [text, message] of [
    ['{', /it is no JSON/],
    ['[]', /expected a JSON object/],
    ['{"comand": []}', /unknown key "comand"/],
    ['{"command": "run"}', /command: expected an array of strings/],
    ['{"user": 1}', /user: expected a string/],
    ['{"labels": {"a": 1}}', /labels: expected an object of strings/],
  ] as const) {
    writeFileSync(config, text)
    const run = await cairn(['store', '/nonexistent', '--config', config], { repo })
    t.equal(run.code, 2)
    t.match(run.stderr, message)
  }
  const label = await cairn(['store', '/nonexistent', '--label', 'novalue'], { repo })
  t.equal(label.code, 2)
  const tag = await cairn(['store', '/nonexistent', '-t', '../evil'], { repo })
  t.equal(tag.code, 2)
  const missing = await cairn(['store', '.', '--config', '/nonexistent'], { repo })
  t.equal(missing.code, 3)
  const both = await cairn(['store', '.', '--v1', '--label', 'a=b'], { repo })
  t.equal(both.code, 2)
})

t.test('store names what it cannot read, and moves no tag', async t => {
  const { repo, digest } = await storeFolder(t)
  const run = await cairn(['store', '/nonexistent', '-t', 'app', '--json'], { repo })
  t.equal(run.code, 9)
  t.match(JSON.parse(run.stderr), { error: { code: 'source_unreadable' } })
  t.match(await cairnJson(['show', 'app'], { repo }), { digest })
})

t.test('store refuses a folder that holds the repository, or lies in it', async t => {
  const { repo, folder, source } = await storeFolder(t)
  const link = join(folder, 'link')
  symlinkSync(folder, link)
  for (const path of [folder, repo, join(repo, 'objects'), link]) {
    const run = await cairn(['store', path, '-t', 'own'], { repo })
    t.equal(run.code, 2, path)
    t.match(run.stderr, /: it (holds|lies in) the repository .*--repo/)
  }
  t.equal((await cairn(['show', 'own'], { repo })).code, 3, 'no tag was set')
  const beside = join(folder, 'beside')
  mkdirSync(beside)
  for (const path of [beside, source]) {
    t.equal((await cairn(['store', path], { repo })).code, 0, path)
  }
})

t.test('store succeeds, and warns, when it cannot tidy up behind itself', async t => {
  const { repo, source } = await storeFolder(t)
  rmSync(join(repo, 'reserve'), { force: true })
  mkdirSync(join(repo, 'reserve'))
  const run = await cairn(['store', source], { repo })
  t.equal(run.code, 0)
  t.match(run.stderr, /^warning: .* was not tidied up: .*expected a regular file/m)
})
