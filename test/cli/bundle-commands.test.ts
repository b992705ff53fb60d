import { execFileSync } from 'node:child_process'
import { readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { nodeCommand } from '../support/node-command.js'
import { cairn, cairnJson, cairnPath } from '../support/run-cairn.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('bundle carries an application in a file, and tags it when told', async t => {
  const { repo, folder, digest } = await storeFolder(t)
  const file = join(folder, 'app.bundle')
  const made = await cairnJson(['bundle', 'create', file, 'app'], { repo })
  t.match(made, { file, size: statSync(file).size, tags: ['app'], roots: [{ digest }] })
  const other = join(folder, 'other')
  await cairn(['init'], { repo: other })
  const taken = await cairn(['bundle', 'import', file], { repo: other })
  t.equal(taken.stdout, `${digest}\n`)
  t.match(taken.stderr, /imported \d+ objects/)
  t.match(await cairnJson(['tag', 'list'], { repo: other }), { tags: [] })
  const tagged = await cairnJson(['bundle', 'import', file, '--tag-prefix', 'my-'], {
    repo: other,
  })
  t.match(tagged, { tags: [{ name: 'my-app', digest }], roots: [{ digest }] })
  t.match(await cairnJson(['bundle', 'import', file, '--tags'], { repo: other }), {
    tags: [{ name: 'app', digest }],
  })
  t.equal((await cairn(['fsck'], { repo: other })).code, 0)
})

t.test('bundle writes to a pipe and reads from one', async t => {
  const { repo, folder, digest } = await storeFolder(t)
  const other = join(folder, 'other')
  await cairn(['init', '--layout', 'loose'], { repo: other })
  const program = [...nodeCommand, cairnPath].map(word => `"${word}"`).join(' ')
  const out = execFileSync(
    '/bin/sh',
    [
      '-c',
      `${program} bundle create - app --repo "${repo}" | ` +
        `${program} bundle import - --tags --repo "${other}"`,
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  )
  t.equal(out, `${digest}\n`)
  t.match(await cairnJson(['tag', 'list'], { repo: other }), { tags: [{ digest }] })
})

t.test('bundle says what is wrong', async t => {
  const { repo, folder } = await storeFolder(t)
  const file = join(folder, 'app.bundle')
  t.equal((await cairn(['bundle', 'create', file, 'none'], { repo })).code, 3)
  t.notOk(readdirSync(folder).includes('app.bundle'))
  t.equal((await cairn(['bundle', 'create', '-', 'app', '--json'], { repo })).code, 2)
  t.equal((await cairn(['bundle', 'import', file], { repo })).code, 3)
  t.equal((await cairn(['bundle', 'import', join(repo, 'config')], { repo })).code, 5)
  await cairn(['bundle', 'create', file, 'app'], { repo })
  const both = ['bundle', 'import', file, '--tags', '--tag-prefix', 'x']
  t.equal((await cairn(both, { repo })).code, 2)
  const bad = await cairn(['bundle', 'import', file, '--tag-prefix', 'a/'], { repo })
  t.equal(bad.code, 2)
  truncateSync(file, statSync(file).size - 30)
  const cut = await cairn(['bundle', 'import', file], { repo })
  t.match(cut.stderr, /app\.bundle ended after \d+ bytes/)
  t.equal(cut.code, 7)
})
