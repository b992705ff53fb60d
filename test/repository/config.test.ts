import t from 'tap'
import { InvalidRepositoryError } from '../../lib/errors.js'
import { algorithms } from '../../lib/object/algorithm.js'
import { parseCompression } from '../../lib/repository/compression.js'
import {
  createConfig,
  decodeConfig,
  encodeConfig,
  version1Config,
} from '../../lib/repository/config.js'

const valid = {
  version: 1,
  id: '0123456789abcdef0123456789abcdef',
  layout: 'loose',
  algorithm: 'blake3',
  compression: 'none',
}

t.test('has one form on disk: sorted keys, no blanks, one line', async t => {
  const decoded = decodeConfig(Buffer.from(JSON.stringify(valid)), 'config')
  t.equal(
    encodeConfig(decoded).toString(),
    '{"algorithm":"blake3","compression":"none","id":"0123456789abcdef0123456789abcdef",' +
      '"layout":"loose","version":1}\n',
  )
})

t.test('reads back what it writes, for every algorithm', async t => {
  for (const algorithm of algorithms) {
    const config = createConfig({ algorithm, layout: 'loose', compression: 'none' })
    t.same(decodeConfig(encodeConfig(config), 'config'), config)
  }
})

t.test('keeps every level of compression, of packs only', async t => {
  const { algorithm } = version1Config()
  for (let level = 1; level <= 19; level++) {
    const compression = parseCompression(`zstd:${level}`)
    const config = createConfig({ algorithm, layout: 'pack', compression })
    t.equal(decodeConfig(encodeConfig(config), 'config').compression, `zstd:${level}`)
    t.throws(() => createConfig({ algorithm, layout: 'loose', compression }), {
      code: 'invalid_argument',
    })
  }
  t.equal(parseCompression('zstd'), 'zstd:3')
  for (const wrong of ['', 'zstd:', 'zstd:20', 'gzip', 'NONE']) {
    t.throws(() => parseCompression(wrong), { code: 'invalid_argument' }, wrong)
  }
})

t.test('gives every new repository another id', async t => {
  const choices = { ...version1Config() }
  t.not(createConfig(choices).id, createConfig(choices).id)
})

t.test('refuses what it does not know, and names it', async t => {
  const cases: [unknown, RegExp][] = [
    [{ ...valid, version: 2 }, /version: expected 1, found 2/],
    [{ ...valid, version: 2, more: true }, /version: expected 1, found 2/],
    [{ ...valid, layout: 'packed' }, /layout: expected loose, pack, found "packed"/],
    [{ ...valid, algorithm: 'md5' }, /algorithm: expected .*blake3, found "md5"/],
    [{ ...valid, algorithm: 5 }, /algorithm: .* found 5/],
    [{ ...valid, compression: 'lzma' }, /compression: expected none, found "lzma"/],
    [{ ...valid, compression: 'zstd:3' }, /compression: expected none, found "zstd:3"/],
    ...['zstd', 'zstd:0', 'zstd:20', 'zstd:03', 'zstd:3 ', 'lzma', 3].map(
      (compression): [unknown, RegExp] => [
        { ...valid, layout: 'pack', compression },
        /compression: expected none, zstd:1 to zstd:19, found /,
      ],
    ),
    [{ ...valid, id: 'ABC' }, /id: expected 32 hex digits, found "ABC"/],
    [{ ...valid, id: undefined }, /id: .* found nothing/],
    [{ ...valid, colour: 'red' }, /key: .* found "colour"/],
    [[], /no JSON object/],
    [null, /no JSON object/],
  ]
  for (const [value, message] of cases) {
    const bytes = Buffer.from(JSON.stringify(value))
    t.throws(() => decodeConfig(bytes, '/r/config'), { message })
    t.throws(() => decodeConfig(bytes, '/r/config'), InvalidRepositoryError)
  }
  t.throws(() => decodeConfig(Buffer.from('[core]\n'), '/r/config'), {
    code: 'invalid_repository',
    message: /\/r\/config: it is no JSON/,
  })
})
