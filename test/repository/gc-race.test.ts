import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Repository } from '../../lib/repository/repository.js'
import { createServer } from '../../server/cairn-server.js'
import { startRepositoryChild } from '../support/child-process.js'
import {
  makePackedRepository,
  problemsOf,
  storeFiles,
} from '../support/packed-repository.js'

const seconds = process.env['CAIRN_TEST_LONG'] === undefined ? 10 : 300
const storing = 8

t.setTimeout((seconds + 120) * 1000)

t.test('loses nothing while others store, remove, read and transfer', async t => {
  const folder = t.testdir({ one: {}, two: {}, near: {}, other: {} })
  const repository = await makePackedRepository(folder)
  // What the others store over and over, and one tree that stays.
  await storeFiles(repository, ['stays', 'content 1'.repeat(500)], 'fixed')
  await using server = createServer({ root: repository.root })
  const { port } = await server.listen()
  const url = `http://127.0.0.1:${port}`
  const own = [await ownRepository(folder, 'near'), await ownRepository(folder, 'other')]
  const start = (action: string, root: string, ...args: readonly string[]) =>
    startRepositoryChild(t, action, root, ...args)
  const children = [
    ...Array.from({ length: storing }, (_, index) =>
      start('store-for-ever', repository.root, `tag-${index}`, String(index)),
    ),
    ...['one', 'two'].map(name =>
      start('check-out-for-ever', repository.root, 'fixed', join(folder, name)),
    ),
    ...own.map(({ root }, index) =>
      start('transfer-for-ever', root, 'fixed', url, `pushed-${index}`),
    ),
  ]
  const end = performance.now() + seconds * 1000
  let freed = 0
  let runs = 0
  for (; performance.now() < end; runs++) {
    await storeFiles(repository, [`nobody needs ${runs}`])
    // A window of none makes old log entries garbage, so that there is some.
    const report = await repository.gc({ grace: 0, window: 0 })
    t.strictSame(report.problems, [])
    freed += report.removedPacks
    for (const child of children) t.equal(child.process.exitCode, null)
  }
  for (const child of children) child.release()
  for (const child of children) await child.end()
  t.ok(runs > 0 && freed > 0, `${runs} runs removed ${freed} packs`)
  for (const checked of [repository, ...own]) {
    // Log entries beyond the window, which others keep longer, make warnings.
    const found = await problemsOf(checked)
    t.strictSame(
      found.filter(text => !text.startsWith('warning missing-object')),
      [],
    )
  }
})

async function ownRepository(folder: string, name: string): Promise<Repository> {
  const place = join(folder, name)
  mkdirSync(place, { recursive: true })
  return makePackedRepository(place)
}
