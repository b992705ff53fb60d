import fc from 'fast-check'
import t from 'tap'
import { InvalidObjectError, NotRepresentableError } from '../../lib/errors.js'
import {
  type ModificationTime,
  ModificationTimesDecoder,
  ModificationTimesEncoder,
} from '../../lib/object/modification-times.js'

function encode(times: readonly ModificationTime[]): Buffer {
  const encoder = new ModificationTimesEncoder()
  for (const time of times) encoder.add(time)
  return encoder.finish()
}

function decode(bytes: Buffer, count: number): ModificationTime[] {
  const decoder = new ModificationTimesDecoder(bytes)
  const times = Array.from({ length: count }, () => decoder.next())
  decoder.end()
  return times
}

t.test('any times come back, in one form', async t => {
  const time = fc.record(
    {
      seconds: fc.oneof(
        fc.bigInt({ min: 1_600_000_000n, max: 1_800_000_000n }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      ),
      nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fc.array(time, { maxLength: 20 }), times => {
      const bytes = encode(times)
      const decoded = decode(bytes, times.length)
      const isSame = decoded.every(
        ({ seconds, nanoseconds }, index) =>
          seconds === times[index]?.seconds && nanoseconds === times[index]?.nanoseconds,
      )
      return isSame && encode(decoded).equals(bytes)
    }),
  )
  t.pass()
})

t.test('seconds are differences in zigzag, and nanoseconds follow', async t => {
  const times = [
    { seconds: 64n, nanoseconds: 0 },
    { seconds: 63n, nanoseconds: 1 },
    { seconds: 64n, nanoseconds: 300 },
  ]
  t.equal(encode(times).toString('hex'), '800100010102ac02')
})

t.test('many times are kept', async t => {
  const times = Array.from({ length: 5000 }, (_, index) => ({
    seconds: BigInt(index) * 10_000_000_000n,
    nanoseconds: 999_999_999,
  }))
  t.strictSame(decode(encode(times), 5000), times)
})

t.test('the furthest differences fit', async t => {
  const times = [
    { seconds: -(2n ** 63n), nanoseconds: 0 },
    { seconds: 2n ** 63n - 1n, nanoseconds: 0 },
    { seconds: -(2n ** 63n), nanoseconds: 0 },
  ]
  t.strictSame(decode(encode(times), 3), times)
})

t.test('refuses to write what is no time', async t => {
  for (const seconds of [2n ** 63n, -(2n ** 63n) - 1n]) {
    t.throws(() => encode([{ seconds, nanoseconds: 0 }]), NotRepresentableError)
  }
  for (const nanoseconds of [-1, 1e9, 0.5, Number.NaN]) {
    t.throws(() => encode([{ seconds: 0n, nanoseconds }]), NotRepresentableError)
  }
})

t.test('refuses bytes that are not the one form of so many times', async t => {
  const cases: [string, string, number][] = [
    ['too few', '', 1],
    ['too many', '000000', 1],
    ['cut off in a number', '80', 1],
    ['without nanoseconds', '00', 1],
    ['a number in a longer form', '800000', 1],
    ['a number of 11 bytes', `${'80'.repeat(10)}0100`, 1],
    ['a billion nanoseconds', '008094ebdc03', 1],
    ['seconds beyond 64 bits', `${'ff'.repeat(9)}0300`, 1],
    ['a sum beyond 64 bits', `fe${'ff'.repeat(8)}01000200`, 2],
  ]
  for (const [rule, hex, count] of cases) {
    t.throws(() => decode(Buffer.from(hex, 'hex'), count), InvalidObjectError, rule)
  }
})
