import t from 'tap'
import {
  InvalidArgumentError,
  InvalidObjectError,
  NotRepresentableError,
} from '../../lib/errors.js'
import {
  type Application,
  decodeApplication,
  encodeApplication,
} from '../../lib/object/application.js'
import {
  type ApplicationExtension,
  decodeExtension,
  encodeExtension,
} from '../../lib/object/application-extension.js'
import { parseDigest } from '../../lib/object/digest.js'
import { encodeHardLinks } from '../../lib/object/hard-links.js'

const parent = parseDigest(`0a${'cd'.repeat(32)}`)

t.test('each member has its key and its form', async t => {
  const cases: [ApplicationExtension, string][] = [
    [{ config: { command: ['sh', '-c'] } }, 'a101a10182627368622d63'],
    [{ config: { environment: ['A=1'] } }, 'a101a1028163413d31'],
    [{ config: { workingFolder: '/' } }, 'a101a103612f'],
    [{ config: { user: 'me' } }, 'a101a104626d65'],
    [{ config: { labels: { bb: '2', a: '1' } } }, 'a101a105a26161613162626261 32'],
    [{ config: { annotations: { k: '' } } }, 'a101a106a1616b60'],
    [{ parents: [parent] }, `a102815821${parent}`],
    [{ created: 0n }, 'a10300'],
    [{ created: -1n }, 'a10320'],
    [{ created: 2n ** 63n - 1n }, 'a1031b7fffffffffffffff'],
    [{ created: -(2n ** 63n) }, 'a1033b7fffffffffffffff'],
    [
      {
        hardLinks: [
          [1, 5],
          [2, 300, 70_000],
        ],
      },
      'a1048282010583021 9012c1a00011170',
    ],
    [{ modificationTimes: Buffer.from('0203', 'hex') }, 'a105420203'],
    [{ unknown: [{ key: 64n, encoded: Buffer.from('f93c00', 'hex') }] }, 'a11840f93c00'],
  ]
  for (const [extension, spaced] of cases) {
    const hex = spaced.replaceAll(' ', '')
    t.equal(encodeExtension(extension)?.toString('hex'), hex)
    t.same(decodeExtension(Buffer.from(hex, 'hex')), extension)
  }
})

t.test('what says nothing is not written', async t => {
  const silent: readonly ApplicationExtension[] = [
    {},
    { config: {} },
    { parents: [], hardLinks: [], modificationTimes: Buffer.alloc(0), unknown: [] },
  ]
  for (const extension of silent) t.equal(encodeExtension(extension), undefined)
})

t.test('members of newer versions are kept byte for byte', async t => {
  const known = '0300'
  const newer = [
    ['1840', 'fb3ff199999999999a'],
    ['1841', 'c11a514b67b0'],
    ['190400', 'a2820102f6f501'],
    ['1bffffffffffffffff', '8180'],
  ].flat()
  const bytes = Buffer.from(`a5${known}${newer.join('')}`, 'hex')
  const extension = decodeExtension(bytes)
  t.equal(extension.unknown?.length, 4)
  t.same(encodeExtension(extension), bytes)
})

t.test('refuses to write members that no reader would take', async t => {
  const refused: readonly ApplicationExtension[] = [
    unknown(63n, '00'),
    unknown(64n, ''),
    unknown(64n, '0000'),
    unknown(64n, 'fa3f800000'),
    { unknown: [64n, 64n].map(key => ({ key, encoded: Buffer.of(0) })) },
    { unknown: [65n, 64n].map(key => ({ key, encoded: Buffer.of(0) })) },
    { hardLinks: [[1]] },
    { hardLinks: [[0, 1]] },
    { hardLinks: [[2, 1]] },
    { hardLinks: [[1, 1]] },
    { hardLinks: [[1, 2.5]] },
    { hardLinks: [[1, 2 ** 32]] },
    {
      hardLinks: [
        [1, 3],
        [2, 3],
      ],
    },
    {
      hardLinks: [
        [2, 3],
        [1, 4],
      ],
    },
  ]
  for (const extension of refused) {
    t.throws(() => encodeExtension(extension), InvalidObjectError)
  }
  t.throws(() => encodeExtension({ created: 2n ** 63n }), NotRepresentableError)
  t.throws(() => encodeExtension({ created: -(2n ** 63n) - 1n }), NotRepresentableError)
  t.throws(
    () => encodeExtension({ config: { user: 'half \ud800' } }),
    InvalidArgumentError,
  )
})

t.test('a label may have any text as its name', async t => {
  const labels = JSON.parse('{"__proto__": "a", "constructor": "b", "": "c"}')
  const bytes = encodeExtension({ config: { labels } })
  if (bytes === undefined) throw new Error('nothing was written')
  const decoded = decodeExtension(bytes).config?.labels
  t.strictSame(Object.entries(decoded ?? {}).length, 3)
  t.same(encodeExtension({ config: { labels: decoded ?? {} } }), bytes)
})

t.test('many hard links cost what their bytes do', async t => {
  const groups = Array.from({ length: 100_000 }, (_, at) => [2 * at + 1, 2 * at + 2])
  const bytes = encodeExtension({ hardLinks: groups })
  if (bytes === undefined) throw new Error('nothing was written')
  t.equal(decodeExtension(bytes).hardLinks?.length, 100_000)
  // The same group over and over is refused at its second coming.
  const again = Buffer.concat([
    Buffer.from('a1049a000f4240', 'hex'),
    Buffer.alloc(3_000_000, Buffer.from('820102', 'hex')),
  ])
  t.throws(() => decodeExtension(again), /groups do not ascend/)
  t.equal(encodeHardLinks([]).toString('hex'), '80')
})

t.test('hard links stay inside the tree', async t => {
  const link = { digest: parent, size: 18 }
  const application = (last: number): Application => ({
    rootHeader: link,
    rootDirectory: { ...link, subObjectCount: 10, subObjectsSize: 0n },
    extension: { hardLinks: [[1, last]] },
  })
  t.doesNotThrow(() => encodeApplication(application(10)))
  t.throws(() => encodeApplication(application(11)), InvalidObjectError)
  const bytes = encodeApplication(application(10))
  bytes[bytes.length - 1] = 11
  t.throws(() => decodeApplication(bytes, 'strict'), InvalidObjectError)
  t.throws(() => decodeApplication(bytes, 'tolerant'), InvalidObjectError)
})

function unknown(key: bigint, hex: string): ApplicationExtension {
  return { unknown: [{ key, encoded: Buffer.from(hex, 'hex') }] }
}
