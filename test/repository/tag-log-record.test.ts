import fc from 'fast-check'
import t from 'tap'
import { InvalidObjectError } from '../../lib/errors.js'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { parseDigest } from '../../lib/object/digest.js'
import {
  decodeTagLogRecord,
  encodeTagLogRecord,
  type TagLogRecord,
} from '../../lib/repository/tag-log-record.js'

const descriptor: fc.Arbitrary<Descriptor> = fc.record({
  digest: fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map(bytes => parseDigest(`05${Buffer.from(bytes).toString('hex')}`)),
  size: fc.nat(),
  type: fc.constant('application' as const),
  subObjectCount: fc.nat(),
  subObjectsSize: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
})

const record: fc.Arbitrary<TagLogRecord> = fc.record({
  sequence: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  time: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  kind: fc.constantFrom('set', 'remove', 'external', 'void'),
  old: fc.option(descriptor, { nil: undefined }),
  new: fc.option(descriptor, { nil: undefined }),
  who: fc.string({ unit: 'grapheme' }),
  message: fc.string({ unit: 'grapheme' }),
  signature: fc.uint8Array().map(bytes => Buffer.from(bytes)),
})

t.test('reads back every record as it was written', async t => {
  fc.assert(
    fc.property(record, one => {
      t.same(decodeTagLogRecord(encodeTagLogRecord(one)), one)
    }),
  )
})

t.test(
  'has one form: fields in order, little-endian, texts with u16 lengths',
  async t => {
    const encoded = encodeTagLogRecord({
      sequence: 2n,
      time: -1n,
      kind: 'remove',
      old: undefined,
      new: undefined,
      who: 'me',
      message: '',
      signature: Buffer.alloc(0),
    })
    t.equal(
      encoded.toString('hex'),
      [
        '01',
        '0200000000000000',
        'ff'.repeat(8),
        '02',
        '0000',
        '0000',
        '02006d65',
        '0000',
        '0000',
      ].join(''),
    )
  },
)

t.test('throws only its own error on other bytes', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      try {
        decodeTagLogRecord(bytes)
      } catch (error) {
        t.ok(error instanceof InvalidObjectError)
      }
    }),
  )
  fc.assert(
    fc.property(record, fc.nat(), fc.nat(255), (one, position, byte) => {
      const bytes = encodeTagLogRecord(one)
      bytes.writeUInt8(byte, position % bytes.length)
      try {
        decodeTagLogRecord(bytes)
      } catch (error) {
        t.ok(error instanceof InvalidObjectError)
      }
    }),
  )
})

t.test(
  'refuses records of another version, of no kind, cut short or too long',
  async t => {
    const [sample] = fc.sample(record, { numRuns: 1, seed: 1 })
    if (sample === undefined) throw new Error('no sample')
    const bytes = encodeTagLogRecord(sample)
    for (let length = 0; length < bytes.length; length++) {
      t.throws(() => decodeTagLogRecord(bytes.subarray(0, length)), InvalidObjectError)
    }
    t.throws(() => decodeTagLogRecord(Buffer.concat([bytes, Buffer.alloc(1)])))
    const other = Buffer.from(bytes)
    other.writeUInt8(2, 0)
    t.throws(() => decodeTagLogRecord(other), { message: /version: expected 1, found 2/ })
    const kindless = Buffer.from(bytes)
    kindless.writeUInt8(0, 17)
    t.throws(() => decodeTagLogRecord(kindless), { message: /kind of tag log record/ })
  },
)
