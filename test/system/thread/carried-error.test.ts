import t from 'tap'
import { errorCodes } from '../../../lib/error-codes.js'
import * as errors from '../../../lib/errors.js'
import { packError, unpackError } from '../../../lib/system/thread/carried-error.js'

type ErrorClass = new (
  message: string,
  facts: errors.ErrorFacts,
  options: ErrorOptions,
) => errors.CairnError

const carry = (error: unknown): unknown => unpackError(structuredClone(packError(error)))

t.test('keeps the class of every error of ours', async t => {
  const seen: string[] = []
  for (const [name, value] of Object.entries(errors)) {
    if (value === errors.CairnError) continue
    const cause = new RangeError('before')
    const error = new (value as ErrorClass)('message', { fact: 1 }, { cause })
    const carried = carry(error)
    t.ok(carried instanceof value, name)
    t.strictSame(carried, error)
    t.equal(String(carried), String(error))
    seen.push(error.code)
  }
  t.strictSame(seen.toSorted(), Object.keys(errorCodes).toSorted())
})

t.test('ends the row of causes somewhere', async t => {
  const error = new Error('round')
  error.cause = error
  let depth = 0
  for (let one = carry(error); one instanceof Error; one = one.cause) depth += 1
  t.equal(depth, 9)
})

t.test('keeps the names of errors of the platform', async t => {
  const reason: unknown = AbortSignal.abort().reason
  t.match(carry(reason), { name: 'AbortError', message: 'This operation was aborted' })
  t.ok(carry(new SyntaxError('comma')) instanceof SyntaxError)
})
