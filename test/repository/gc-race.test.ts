import t from 'tap'
import { startRepositoryChild } from '../support/child-process.js'
import { makePackedRepository, problemsOf } from '../support/packed-repository.js'

const seconds = process.env['CAIRN_TEST_LONG'] === undefined ? 20 : 300

t.setTimeout((seconds + 120) * 1000)

t.test('loses nothing while others store, and remove, all the time', async t => {
  const repository = await makePackedRepository(t.testdir())
  const children = ['one', 'two', 'three'].map((name, index) =>
    startRepositoryChild(t, 'store-for-ever', repository.root, name, String(index)),
  )
  const end = performance.now() + seconds * 1000
  let freed = 0
  let runs = 0
  for (; performance.now() < end; runs++) {
    // A window of none makes old log entries garbage, so that there is some.
    const report = await repository.gc({ grace: 0, window: 0 })
    t.strictSame(report.problems, [])
    freed += report.removedPacks
    for (const child of children) t.equal(child.process.exitCode, null)
  }
  for (const child of children) child.release()
  for (const child of children) await child.end()
  t.ok(runs > 0 && freed > 0, `${runs} runs removed ${freed} packs`)
  // Log entries beyond the window, which others keep longer, make warnings.
  const found = await problemsOf(repository)
  t.strictSame(
    found.filter(text => !text.startsWith('warning missing-object')),
    [],
  )
})
