import { Decoder, Encoder } from 'cbor-x'
import fc from 'fast-check'
import t from 'tap'
import { InvalidArgumentError, InvalidObjectError } from '../../lib/errors.js'
import {
  type CborValue,
  checkCbor,
  decodeCbor,
  encodeCbor,
  splitCborMap,
} from '../../lib/object/canonical-cbor.js'

const integers: fc.Arbitrary<number | bigint> = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc
    .bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n })
    .filter(value => !Number.isSafeInteger(Number(value))),
)

const { value: values } = fc.letrec<{ value: CborValue }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    integers,
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.oneof(integers, fc.string()), tie('value')), { maxLength: 4 })
      .map(members => new Map(members)),
  ),
}))

t.test('another implementation reads what ours writes', async t => {
  const decoder = new Decoder({ useRecords: false, mapsAsObjects: false })
  fc.assert(
    fc.property(values, value => {
      const bytes = encodeCbor(value)
      const theirs = decoder.decode(bytes) as CborValue
      const again = encodeCbor(theirs)
      if (!again.equals(bytes)) {
        throw new Error(`${bytes.toString('hex')}, ${again.toString('hex')}`)
      }
    }),
  )
  t.pass()
})

t.test('ours reads what another implementation writes canonically', async t => {
  const encoder = new Encoder({
    useRecords: false,
    variableMapSize: true,
    tagUint8Array: false,
    mapsAsObjects: false,
  })
  for (const value of [0, 23, 24, 255, 256, 65535, 65536, -1, -25, 'é', ['a', [1]]]) {
    t.same(decodeCbor(encoder.encode(value)), value)
  }
})

t.test('encoding, decoding and encoding gives the same bytes', async t => {
  fc.assert(
    fc.property(values, value => {
      const bytes = encodeCbor(value)
      if (!encodeCbor(decodeCbor(bytes)).equals(bytes)) {
        throw new Error(bytes.toString('hex'))
      }
    }),
  )
  t.pass()
})

t.test('takes only the shortest form of every number and length', async t => {
  for (const text of ['1817', '190017', '1a0000ffff', '1b00000000ffffffff', '5800']) {
    t.throws(() => decodeCbor(hex(text)), InvalidObjectError, text)
  }
})

t.test('takes no indefinite lengths, no reserved heads, no bytes behind', async t => {
  for (const text of ['9fff', '5fff', '7fff', 'bfff', 'ff', '1c', '1f', '0000', '']) {
    t.throws(() => decodeCbor(hex(text)), InvalidObjectError, text)
    t.throws(() => checkCbor(hex(text), 'any'), InvalidObjectError, text)
  }
})

t.test('takes map keys in ascending order of their bytes, each once', async t => {
  t.doesNotThrow(() => decodeCbor(hex('a301002000616100')))
  for (const text of ['a202000100', 'a201000100', 'a26131000100']) {
    t.throws(() => decodeCbor(hex(text)), InvalidObjectError, text)
  }
})

t.test('known members hold no floats, tags, simple values or other keys', async t => {
  for (const text of ['f93c00', 'f4', 'f6', 'c100', 'a1410000', 'a18000', 'a1f400']) {
    t.throws(() => decodeCbor(hex(text)), InvalidObjectError, text)
    t.doesNotThrow(() => checkCbor(hex(text), 'any'), text)
  }
})

t.test('a float or simple value of unknown members has one form, too', async t => {
  const wrong = [
    'fa3f800000',
    'fb3ff0000000000000',
    'fa7f800000',
    'fb7ff0000000000000',
    'fa7fc00000',
    'fb7ff8000000000000',
    'fa00000000',
    'fa33800000',
    'f818',
    'f800',
    'fb40f86a0000000000',
    'fbb6a0000000000000',
  ]
  for (const text of wrong) {
    t.throws(() => checkCbor(hex(text), 'any'), InvalidObjectError, text)
  }
  const right = ['f90001', 'f98000', 'f97c00', 'fa47c35000', 'fa33800001', 'f820', 'f8ff']
  for (const text of right) t.doesNotThrow(() => checkCbor(hex(text), 'any'), text)
})

t.test('text must be UTF-8', async t => {
  t.throws(() => decodeCbor(hex('61ff')), InvalidObjectError)
  t.throws(() => encodeCbor('\ud800'), InvalidArgumentError)
})

t.test('numbers outside 64 bits and fractions cannot be written', async t => {
  for (const value of [1.5, Number.NaN, 2 ** 53, 2n ** 64n, -(2n ** 64n) - 1n]) {
    t.throws(() => encodeCbor(value), InvalidArgumentError, String(value))
  }
  t.same(encodeCbor(-0), hex('00'))
})

t.test('depth and number of members are bounded', async t => {
  t.doesNotThrow(() => decodeCbor(Buffer.concat([Buffer.alloc(15, 0x81), hex('80')])))
  const deep = Buffer.concat([Buffer.alloc(1_000_000, 0x81), hex('00')])
  t.throws(() => decodeCbor(deep), InvalidObjectError)
  t.throws(() => checkCbor(Buffer.alloc(1_000_000, 0xc1), 'any'), InvalidObjectError)
  const wide = Buffer.concat([hex('9a00010001'), Buffer.alloc(65_537)])
  t.throws(() => decodeCbor(wide), /more than 65536 members/)
  t.doesNotThrow(() => checkCbor(wide, 'any'))
})

t.test('a length that lies, up to 2^64-1, costs nothing', async t => {
  for (const head of ['5b', '7b', '9b', 'bb']) {
    for (const length of ['7fffffffffffffff', 'ffffffffffffffff', '0000000100000000']) {
      t.throws(() => decodeCbor(hex(head + length)), InvalidObjectError)
      t.throws(() => splitCborMap(hex(head + length), () => 'any'), InvalidObjectError)
    }
  }
})

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}
