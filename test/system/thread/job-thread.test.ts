import { execFileSync } from 'node:child_process'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  CairnError,
  CorruptObjectError,
  InvalidArgumentError,
} from '../../../lib/errors.js'
import { JobThread } from '../../../lib/system/thread/job-thread.js'
import { marks, type OddJob, type OddStart } from '../../support/odd-jobs.js'

const file = new URL('../../support/odd-jobs-worker.js', import.meta.url)

type OddThread = JobThread<OddJob, unknown, OddStart>

function start(t: Test, { fails = false } = {}): { thread: OddThread; seen: Int32Array } {
  const seen = new Int32Array(new SharedArrayBuffer(8))
  const thread: OddThread = new JobThread(file, { marks: seen, fails })
  t.teardown(async () => thread[Symbol.asyncDispose]())
  return { thread, seen }
}

t.test('answers jobs in their order', async t => {
  const { thread } = start(t)
  const answers = [1, 2, 3].map(async value => thread.run({ kind: 'echo', value }))
  t.equal(thread.waiting, 3)
  t.strictSame(await Promise.all(answers), [1, 2, 3])
  t.equal(thread.waiting, 0)
})

t.test('hands over buffers instead of copying them', async t => {
  const { thread } = start(t)
  const value = new Uint8Array([1, 2, 3])
  const answer = thread.run({ kind: 'echo', value }, { transfer: [value.buffer] })
  t.equal(value.length, 0)
  t.strictSame(await answer, new Uint8Array([1, 2, 3]))
})

t.test('throws what a job throws: class, fields and causes', async t => {
  const { thread } = start(t)
  const error = await failure(thread.run({ kind: 'throw', what: 'own' }))
  t.ok(error instanceof CorruptObjectError)
  t.match(error, {
    name: 'CorruptObjectError',
    code: 'corrupt_object',
    message: 'object differs',
    facts: { expected: 'a', size: 3 },
    stack: /odd-jobs-worker/,
    cause: { message: 'odd', cause: { message: 'deep' } },
  })
  t.ok(error instanceof CairnError && error.cause instanceof TypeError)
  const path = '/no/such/file'
  await t.rejects(thread.run({ kind: 'read', path }), {
    code: 'ENOENT',
    syscall: 'open',
    path,
  })
  t.strictSame(await failure(thread.run({ kind: 'throw', what: 'value' })), {
    not: 'an error',
  })
  await t.rejects(thread.run({ kind: 'throw', what: 'unfit' }), {
    name: 'DataCloneError',
  })
  t.equal(await thread.run({ kind: 'echo', value: 'still here' }), 'still here')
})

t.test('refuses a job that cannot be sent, and goes on', async t => {
  const { thread } = start(t)
  const value = Symbol('of this thread')
  await t.rejects(thread.run({ kind: 'echo', value }), { name: 'DataCloneError' })
  t.equal(thread.waiting, 0)
  t.equal(await thread.run({ kind: 'echo', value: 1 }), 1)
})

t.test('fails every job of a thread that could not prepare itself', async t => {
  const { thread, seen } = start(t, { fails: true })
  for (let round = 0; round < 2; round++) {
    const error = await failure(thread.run({ kind: 'echo', value: 1 }))
    t.ok(error instanceof InvalidArgumentError)
    t.match(error, { facts: { place: 7 } })
  }
  await thread[Symbol.asyncDispose]()
  t.equal(seen[marks.ended], 0)
})

t.test('ends a job early whose signal is given', async t => {
  const { thread, seen } = start(t)
  const { signal, abort } = abortable()
  const job = thread.run({ kind: 'until cancelled' }, { signal })
  const next = thread.run({ kind: 'echo', value: 'next' })
  await begun(seen, 1)
  abort(new RangeError('enough'))
  const error = await failure(job)
  t.ok(error instanceof RangeError)
  t.equal(await next, 'next')
  t.equal(await failure(thread.run({ kind: 'until cancelled' }, { signal })), error)
  t.equal(seen[marks.begun], 2, 'the last one was not begun')
})

t.test('ends when it is asked to, and begins nothing any more', async t => {
  const { thread, seen } = start(t)
  const job = thread.run({ kind: 'until cancelled' })
  const next = thread.run({ kind: 'echo', value: 'next' })
  const outcomes = Promise.allSettled([job, next])
  await begun(seen, 1)
  await Promise.all([thread[Symbol.asyncDispose](), thread[Symbol.asyncDispose]()])
  t.match(await outcomes, [{ reason: /asked to end/ }, { reason: /asked to end/ }])
  t.strictSame([...seen], [1, 1], 'one was begun, and the thread ended in order')
  await t.rejects(
    thread.run({ kind: 'echo', value: 1 }),
    /thread odd-jobs-worker.js was asked to end/,
  )
  await thread[Symbol.asyncDispose]()
})

t.test('ends although it never had a job', async t => {
  const { thread, seen } = start(t)
  await thread[Symbol.asyncDispose]()
  t.strictSame([...seen], [0, 0])
  const { thread: other, seen: otherSeen } = start(t)
  other.start()
  await other[Symbol.asyncDispose]()
  t.strictSame([...otherSeen], [0, 1])
})

t.test('fails the jobs of a thread that died, and starts another', async t => {
  const { thread } = start(t)
  for (const [by, message] of [
    ['exit', 'thread odd-jobs-worker.js ended by itself, with code 3'],
    ['error', 'thread odd-jobs-worker.js failed: out of the blue'],
  ] as const) {
    const outcomes = await Promise.allSettled([
      thread.run({ kind: 'die', by }),
      thread.run({ kind: 'echo', value: 1 }),
    ])
    t.match(outcomes, [{ reason: { message } }, { reason: { message } }])
    t.equal(thread.waiting, 0)
    t.equal(await thread.run({ kind: 'echo', value: by }), by)
  }
})

t.test('keeps a process alive while it has a job, and no longer', async t => {
  const module = new URL('../../../lib/system/thread/job-thread.js', import.meta.url)
  const script = `
    import { JobThread } from '${module.href}'
    const marks = new Int32Array(new SharedArrayBuffer(8))
    const thread = new JobThread(new URL('${file.href}'), { marks })
    thread.start()
    console.log(await thread.run({ kind: 'echo', value: 'answered' }))
  `
  const args = ['--input-type=module', '--eval', script]
  const output = execFileSync(process.execPath, args, { timeout: 20_000 })
  t.equal(output.toString(), 'answered\n')
})

async function failure(job: Promise<unknown>): Promise<unknown> {
  const [outcome] = await Promise.allSettled([job])
  if (outcome.status === 'fulfilled') throw new Error('nothing was thrown')
  return outcome.reason
}

function abortable(): { signal: AbortSignal; abort: (reason: Error) => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: reason => controller.abort(reason) }
}

/** Waits until so many jobs were begun. */
async function begun(seen: Int32Array, jobs: number): Promise<void> {
  while (Atomics.load(seen, marks.begun) < jobs) await nextTurn()
}
