import { readFileSync } from 'node:fs'
import { CorruptObjectError, InvalidArgumentError } from '../../lib/errors.js'
import { serveJobs } from '../../lib/system/thread/serve-jobs.js'
import { marks, type OddJob, type OddStart } from './odd-jobs.js'

serveJobs<OddJob, unknown, OddStart>(({ marks: places, fails }) => {
  if (fails) throw new InvalidArgumentError('no such place', { place: 7 })
  return {
    answer: async (job, checkpoint) => {
      Atomics.add(places, marks.begun, 1)
      return work(job, checkpoint)
    },
    end: () => {
      Atomics.add(places, marks.ended, 1)
    },
  }
})

async function work(job: OddJob, checkpoint: () => void): Promise<unknown> {
  switch (job.kind) {
    case 'echo':
      return job.value
    case 'read':
      return readFileSync(job.path)
    case 'throw':
      return fail(job.what)
    case 'until cancelled':
      for (;;) checkpoint()
    case 'die':
      if (job.by === 'exit') process.exit(3)
      setImmediate(() => {
        throw new RangeError('out of the blue')
      })
      return new Promise(() => undefined)
    default:
      return job satisfies never
  }
}

function fail(what: 'own' | 'value' | 'unfit'): never {
  // oxlint-disable-next-line typescript/only-throw-error -- others do
  if (what === 'value') throw { not: 'an error' }
  if (what === 'unfit') throw Object.assign(new Error('unfit'), { call: () => what })
  throw new CorruptObjectError(
    'object differs',
    { expected: 'a', size: 3 },
    { cause: new TypeError('odd', { cause: new Error('deep') }) },
  )
}
