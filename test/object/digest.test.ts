import t from 'tap'
import { algorithms } from '../../lib/object/algorithm.js'
import { findDigest } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'

t.test('digests the type byte in front of the payload', async t => {
  const sha512t256 = algorithms[5]
  if (sha512t256 === undefined) throw new Error('no algorithm 5')
  t.equal(
    digestObject(sha512t256, 'file', Buffer.from('hello, stemma\n')),
    '05d2040022cba3dd2ebbb61c40822f531ef3a8e4826e95c2917152681000f8d39e',
  )
})

t.test('refuses upper case, short, long and unknown digests', async t => {
  for (const text of [
    '05AB',
    '05',
    `0b${'00'.repeat(32)}`,
    `05${'00'.repeat(33)}`,
    '../x',
  ]) {
    t.equal(findDigest(text), undefined, text)
  }
})
