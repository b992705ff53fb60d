import { truncateSync } from 'node:fs'
import t from 'tap'
import { cairn, cairnJson } from '../support/run-cairn.js'
import { objectPath } from '../support/scratch-repository.js'
import { storeFolder } from '../support/stored-folder.js'

t.test('fsck says what it looked at and finds nothing in a good repository', async t => {
  const { repo } = await storeFolder(t)
  const run = await cairn(['fsck'], { repo })
  t.equal(run.code, 0)
  t.equal(run.stdout, '')
  t.match(run.stderr, /checked \d+ objects, .*: 0 errors, 0 warnings, 0 notices\n$/)
  t.match(await cairnJson(['fsck', 'app'], { repo }), { findings: [], errors: 0 })
  t.equal((await cairn(['fsck', 'none'], { repo })).code, 3)
})

t.test('fsck names damage with exit code 5', async t => {
  const { repo } = await storeFolder(t)
  const listed = await cairnJson(['ls', 'app:run'], { repo })
  const [{ digest = '' } = {}] = listed['entries'] as { digest?: string }[]
  truncateSync(objectPath(repo, digest), 5)
  const run = await cairn(['fsck'], { repo })
  t.equal(run.code, 5)
  t.match(run.stdout, new RegExp(`^error: \\S+ ${digest}: `))
  const document = await cairnJson(['fsck', 'app'], { repo })
  t.match(document, { findings: [{ severity: 'error', where: digest }] })
})
