import t, { type Test } from 'tap'
import { decodeApplication, encodeApplication } from '../../lib/object/application.js'
import {
  type Descriptor,
  decodeDescriptor,
  encodeDescriptor,
} from '../../lib/object/descriptor.js'
import { algorithmOf, parseDigest } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import {
  type Directory,
  decodeDirectory,
  encodeDirectory,
  totalsOf,
} from '../../lib/object/directory.js'
import { modeOf } from '../../lib/object/file-mode.js'
import { decodeHeader, encodeHeader, type Header } from '../../lib/object/header.js'
import { parseObjectType } from '../../lib/object/object-type.js'
import { decodeTagList, encodeTagList } from '../../lib/object/tag-list.js'
import { parseTagName } from '../../lib/object/tag-name.js'
import { readFixture } from '../support/fixture-file.js'

type Example = {
  readonly name: string
  readonly kind: string
  readonly bytes_hex: string
  readonly digest?: string
}

const examples = readFixture('format-examples.json') as readonly Example[]

const plainHeader: Header = {
  mode: modeOf('regular', 0o644),
  rdev: 0,
  uid: 0,
  gid: 0,
  xattrs: [],
}

const header644 = link(
  '05e76d49bdadbb63bd0be352aff943b046ac8b1195ffcdb4b749b077e832e80508',
  18,
)

const directory: Directory = [
  {
    name: Buffer.from('link'),
    kind: 'symlink',
    target: Buffer.from('../README'),
    header: link(
      '054071575c7f5eb05f39beacc8931e56527ebeabc4a3b75acfb74f143893de3235',
      18,
    ),
  },
  {
    name: Buffer.from('x'),
    kind: 'regular',
    header: header644,
    file: link('055d8cd1df9cb3a2bdc8da7aeed23e5da88305c5cc45bce5e47f8e2b3bca4339bf', 2),
  },
  {
    name: Buffer.from('y'),
    kind: 'regular',
    header: link(
      '05049776622d56fec0752821d9cb951a95fcd2adf6196b2e2e8331af3dc37d72e1',
      18,
    ),
    file: link('05e7e4321cc838a333bcaec86d914ad8bfe42bd3b06ab4d420881139429ede1723', 2),
  },
]

const ordinary: Descriptor = {
  digest: parseDigest(
    '05cd821b7400d6401f9539923123f1eb660d8f1e400697b544dfaf35d0e0e5ee61',
  ),
  size: 98,
  type: 'application',
  subObjectCount: 65,
  subObjectsSize: 18250n,
}

const beta: Descriptor = {
  digest: parseDigest(
    '05438b2831e53689686e1faffabf905ccadf8c94b55d716d990f3e571d60485eb2',
  ),
  size: 98,
  type: 'application',
  subObjectCount: 5,
  subObjectsSize: 264n,
}

t.test('every example of an object has its digest', async t => {
  for (const { name, digest, bytes_hex } of examples) {
    if (digest === undefined) continue
    const bytes = Buffer.from(bytes_hex, 'hex')
    const expected = parseDigest(digest)
    const type = parseObjectType(bytes[0] ?? 255)
    const found = digestObject(algorithmOf(expected), type, bytes.subarray(1))
    t.equal(found, expected, name)
  }
})

t.test('a header is 18 bytes and its attributes', async t => {
  same(t, encodeHeader(plainHeader), payloadOf('header'))
  t.same(decodeHeader(payloadOf('header'), 'strict'), plainHeader)
  const xattrs = [
    { key: Buffer.from('user.a'), value: Buffer.from('1') },
    { key: Buffer.from('user.comment'), value: Buffer.from('plain text') },
  ]
  const payload = payloadOf('header with extended attributes')
  same(t, encodeHeader({ ...plainHeader, xattrs }), payload)
  t.same(decodeHeader(payload, 'strict'), { ...plainHeader, xattrs })
})

t.test('a directory is its count and its entries', async t => {
  same(t, encodeDirectory([]), payloadOf('empty directory'))
  same(t, encodeDirectory(directory), payloadOf('directory'))
  t.same(decodeDirectory(payloadOf('directory'), 'strict'), directory)
})

t.test('the entry of a directory carries its totals', async t => {
  const totals = totalsOf(directory)
  t.same(totals, { subObjectCount: 5, subObjectsSize: 58n })
  const entry = {
    name: Buffer.from('copyA'),
    kind: 'directory' as const,
    header: link(
      '05dee6855388380bd47571d5dc9644e45fcf3fdeacadca4dbf7cd231268aa89744',
      18,
    ),
    directory: {
      ...link('05129613950333059ae283ccfbeeb324d9a9e064f03f041e7904f76d68299e3931', 295),
      ...totals,
    },
  }
  same(t, encodeDirectory([entry]).subarray(4), bytesOf('entry of that directory'))
  t.same(totalsOf([entry]), { subObjectCount: 7, subObjectsSize: 371n })
})

t.test('an application without extension is version 1 of the format', async t => {
  const application = decodeApplication(payloadOf('application'), 'strict')
  t.same(application, {
    rootHeader: link(
      '05dee6855388380bd47571d5dc9644e45fcf3fdeacadca4dbf7cd231268aa89744',
      18,
    ),
    rootDirectory: {
      ...link('05d8238ce80f2a2f35ef43b6e638f72d8237cf053f502c2c0d68034aa0b5c63675', 1844),
      subObjectCount: 63,
      subObjectsSize: 16388n,
    },
  })
  same(t, encodeApplication(application), payloadOf('application'))
  same(t, encodeApplication({ ...application, extension: {} }), payloadOf('application'))
})

t.test('a tag file is one descriptor', async t => {
  same(t, encodeDescriptor(ordinary), bytesOf('tag file'))
  t.same(decodeDescriptor(bytesOf('tag file')), ordinary)
})

t.test('a tag list has names with long lengths', async t => {
  const list = [
    { name: parseTagName('v1.0-beta_2'), descriptor: beta },
    { name: parseTagName('ordinary'), descriptor: ordinary },
  ]
  t.same(decodeTagList(bytesOf('tag list')), list)
  const sorted = encodeTagList(list)
  t.equal(sorted.length, bytesOf('tag list').length)
  t.same(decodeTagList(sorted), list.toReversed())
  same(t, encodeTagList([]), bytesOf('empty tag list'))
})

t.test('a tag list passes over names that only we refuse', async t => {
  const name = `05${'ab'.repeat(32)}`
  const list = Buffer.concat([
    Buffer.from('0200000042000000', 'hex'),
    Buffer.from(name),
    encodeDescriptor(beta),
    encodeTagList([{ name: parseTagName('kept'), descriptor: ordinary }]).subarray(4),
  ])
  t.same(decodeTagList(list), [{ name: 'kept', descriptor: ordinary }])
})

function bytesOf(name: string): Buffer {
  const example = examples.find(candidate => candidate.name === name)
  if (example === undefined) throw new Error(`no example ${name}`)
  return Buffer.from(example.bytes_hex, 'hex')
}

function payloadOf(name: string): Buffer {
  return bytesOf(name).subarray(1)
}

function link(digest: string, size: number) {
  return { digest: parseDigest(digest), size }
}

function same(t: Test, found: Buffer, expected: Buffer): void {
  t.equal(found.toString('hex'), expected.toString('hex'))
}
