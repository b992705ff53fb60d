import { appendFileSync, chmodSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cairn, cairnJson } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('diff tells by its exit code whether trees differ', async t => {
  const { repo, source, digest } = await storeFolder(t)
  const same = await cairn(['diff', 'app', digest], { repo })
  t.equal(same.code, 0)
  t.equal(same.stdout, '')
  appendFileSync(join(source, 'run'), 'exit 1\n')
  chmodSync(join(source, 'run'), 0o700)
  rmSync(join(source, 'link'))
  mkdirSync(join(source, 'new'))
  const folder = await cairn(['diff', 'app', source, '--no-progress'], { repo })
  t.equal(folder.code, 1)
  t.equal(folder.stdout, 'D link\nA new\nM run (permissions, content)\n')
  t.equal(folder.stderr, '')
  await cairn(['store', source, '-t', 'app'], { repo })
  const document = await cairnJson(['diff', 'app@{1}', 'app'], { repo })
  t.match(document, {
    identical: false,
    changes: [
      { path: 'link', change: 'removed', before: { kind: 'symlink' } },
      { path: 'new', change: 'added', after: { kind: 'directory' } },
      {
        path: 'run',
        change: 'changed',
        parts: ['permissions', 'content'],
        before: { permissions: '0755', size: 10 },
        after: { permissions: '0700', size: 17 },
      },
    ],
  })
})

t.test('diff takes a name for a tag before it takes it for a folder', async t => {
  const { repo, folder } = await storeFolder(t)
  mkdirSync(join(folder, 'app'))
  mkdirSync(join(folder, 'other'))
  const at = { repo, cwd: folder }
  t.equal((await cairn(['diff', 'app', 'app'], at)).code, 0)
  t.equal((await cairn(['diff', 'app', './app'], at)).code, 1)
  t.equal((await cairn(['diff', 'app', 'other'], at)).code, 1)
  t.equal((await cairn(['diff', 'app', 'neither'], at)).code, 3)
  t.equal((await cairn(['diff', 'app', 'source'], at)).code, 0)
})

t.test('rehash makes the same tree under another algorithm', async t => {
  const { repo, digest } = await storeFolder(t)
  const made = await cairnJson(
    ['rehash', 'app', '--algorithm', 'sha512-256', '-t', 'v1'],
    {
      repo,
    },
  )
  t.match(made, { source: digest, tag: 'v1', algorithm: 'sha512-256', digest: /^05/ })
  t.equal((await cairn(['diff', 'app', 'v1'], { repo })).code, 0)
  const refused = await cairn(['rehash', 'app', '-t', 'v1'], { repo })
  t.equal(refused.code, 2)
})

t.test('diff says what is wrong with a folder to compare with', async t => {
  const { repo, source } = await storeFolder(t)
  for (const [path, found] of [
    ['./missing', 'nothing there'],
    [join(source, 'run'), 'something else'],
  ] as const) {
    const run = await cairn(['diff', 'app', path], { repo })
    t.equal(run.code, 9)
    t.equal(
      run.stderr,
      `cairn: cannot compare with ${path}: expected a folder, found ${found}\n`,
    )
  }
})
