import t from 'tap'
import { LimitExceededError } from '../../lib/errors.js'
import { MemoryBudget } from '../../lib/remote/memory-budget.js'

const mebibyte = 1024 * 1024

t.test('lets one transfer have half, and tells what more it wanted', async t => {
  const budget = new MemoryBudget({ bytes: 8 * mebibyte })
  using lease = budget.open()
  await lease.hold(4 * mebibyte)
  t.equal(budget.taken, 4 * mebibyte)
  await t.rejects(lease.hold(5 * mebibyte), {
    code: 'limit_exceeded',
    facts: { limit: 4 * mebibyte, found: 5 * mebibyte },
  })
  t.equal(budget.taken, 4 * mebibyte)
})

t.test('does not count what every transfer takes', async t => {
  const budget = new MemoryBudget({ bytes: mebibyte })
  using lease = budget.open()
  await lease.hold(200 * 1024)
  t.equal(budget.taken, 0)
})

t.test('lets others wait in order, and goes on when memory is given back', async t => {
  const budget = new MemoryBudget({ bytes: 8 * mebibyte })
  const one = budget.open()
  using other = budget.open()
  await one.hold(4 * mebibyte)
  await other.hold(4 * mebibyte)
  const order: string[] = []
  using third = budget.open()
  using fourth = budget.open()
  const large = third.hold(3 * mebibyte).then(() => order.push('third'))
  const small = fourth.hold(mebibyte).then(() => order.push('fourth'))
  t.equal(budget.waiting, 2)
  one[Symbol.dispose]()
  one[Symbol.dispose]()
  await Promise.all([large, small])
  t.same(order, ['third', 'fourth'])
  t.equal(budget.taken, 8 * mebibyte)
  await other.hold(0)
  t.equal(budget.taken, 4 * mebibyte)
})

t.test(
  'refuses who has waited too long, or is aborted, and serves those behind',
  async t => {
    const budget = new MemoryBudget({ bytes: 8 * mebibyte, waitMs: 20 })
    using one = budget.open()
    using other = budget.open()
    await one.hold(4 * mebibyte)
    await other.hold(3 * mebibyte)
    using third = budget.open()
    using fourth = budget.open()
    const refused = third.hold(2 * mebibyte)
    const served = fourth.hold(mebibyte)
    await t.rejects(refused, LimitExceededError)
    await served
    const abort = new AbortController()
    const aborted = third.hold(2 * mebibyte, abort.signal)
    abort.abort(new Error('enough'))
    await t.rejects(aborted, /enough/)
    t.equal(budget.waiting, 0)
  },
)
