import t from 'tap'
import { SharedRun } from '../../server/shared-run.js'

t.test('lets all who come during a run share the one after it', async t => {
  const ends: (() => void)[] = []
  let begun = 0
  const run = new SharedRun(async () => {
    begun += 1
    const number = begun
    await new Promise<void>(resolve => ends.push(resolve))
    return number
  })
  const first = run.get()
  const later = [run.get(), run.get(), run.get()]
  t.equal(begun, 1)
  ends.shift()?.()
  t.equal(await first, 1)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(begun, 2)
  const last = run.get()
  ends.shift()?.()
  t.same(await Promise.all(later), [2, 2, 2])
  await new Promise(resolve => setImmediate(resolve))
  ends.shift()?.()
  t.equal(await last, 3)
})

t.test('runs again after a failure', async t => {
  let begun = 0
  const run = new SharedRun(async () => {
    begun += 1
    if (begun === 1) throw new Error('once')
    return 'done'
  })
  const first = run.get()
  const second = run.get()
  await t.rejects(first, /once/)
  t.equal(await second, 'done')
  t.equal(await run.get(), 'done')
})
