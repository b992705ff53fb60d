import fc from 'fast-check'
import t from 'tap'
import { escapeBytes, unescapeBytes } from '../../lib/object/escape.js'
import { anyBytes } from '../support/arbitrary-object.js'

t.test('printable UTF-8 stands for itself', async t => {
  for (const text of ['plain', 'with blank', 'ünïcode', '日本語', '🙂', '']) {
    t.equal(escapeBytes(Buffer.from(text)), text)
  }
})

t.test('a backslash is doubled', async t => {
  t.equal(escapeBytes(Buffer.from('a\\b')), 'a\\\\b')
  t.equal(escapeBytes(Buffer.from('ü\\x41')), 'ü\\\\x41')
})

t.test('bytes that are no UTF-8 are shown in hex', async t => {
  t.equal(escapeBytes(Buffer.from([0x61, 0xff, 0x62])), 'a\\xffb')
  t.equal(escapeBytes(Buffer.from([0x80])), '\\x80')
  t.equal(escapeBytes(Buffer.from([0xe6, 0x97])), '\\xe6\\x97')
  t.equal(escapeBytes(Buffer.from([0xc0, 0xaf])), '\\xc0\\xaf')
  t.equal(escapeBytes(Buffer.from([0xed, 0xa0, 0x80])), '\\xed\\xa0\\x80')
  t.equal(escapeBytes(Buffer.from([0xf8, 0x88, 0x80, 0x80])), '\\xf8\\x88\\x80\\x80')
})

t.test('characters that a terminal acts on or hides are shown in hex', async t => {
  t.equal(escapeBytes(Buffer.from('\n')), '\\x0a')
  t.equal(escapeBytes(Buffer.from('\u001b[2J')), '\\x1b[2J')
  t.equal(escapeBytes(Buffer.from('a\u202eb')), 'a\\xe2\\x80\\xaeb')
  t.equal(escapeBytes(Buffer.from('\u200b\ufeff')), '\\xe2\\x80\\x8b\\xef\\xbb\\xbf')
  t.equal(escapeBytes(Buffer.from('\u2028')), '\\xe2\\x80\\xa8')
})

t.test('any bytes come back from their text', async t => {
  const names = fc.oneof(
    anyBytes({ maxLength: 40 }),
    fc.string({ unit: 'grapheme' }).map(text => Buffer.from(text)),
  )
  fc.assert(
    fc.property(names, bytes => {
      const text = escapeBytes(bytes)
      if (!unescapeBytes(text).equals(bytes)) throw new Error(text)
      if (/[\p{Cc}\p{Cf}]/u.test(text)) throw new Error(text)
    }),
    { numRuns: 1000 },
  )
  t.pass()
})

t.test('a backslash that starts no escape stands for itself', async t => {
  t.same(unescapeBytes('a\\b\\x4\\'), Buffer.from('a\\b\\x4\\'))
  t.same(unescapeBytes('\\xFF'), Buffer.from([0xff]))
})
