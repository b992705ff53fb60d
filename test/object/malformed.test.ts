import t from 'tap'
import {
  InvalidDigestError,
  InvalidObjectError,
  InvalidTagNameError,
} from '../../lib/errors.js'
import { decodeApplication } from '../../lib/object/application.js'
import { decodeDescriptor } from '../../lib/object/descriptor.js'
import {
  findDigest,
  findDigestBytes,
  parseDigest,
  parseDigestBytes,
} from '../../lib/object/digest.js'
import { decodeDirectory } from '../../lib/object/directory.js'
import { decodeHeader } from '../../lib/object/header.js'
import type { Strictness } from '../../lib/object/strictness.js'
import { decodeTagList } from '../../lib/object/tag-list.js'
import { findTagName, parseTagName } from '../../lib/object/tag-name.js'
import { readFixture } from '../support/fixture-file.js'

type Malformed = {
  readonly kind: string
  readonly rule: string
  /** What a tolerant reader does with it; refused when absent. */
  readonly tolerant?: 'accepted'
} & ({ readonly bytes_hex: string } | { readonly text: string })

const fixtures = readFixture('malformed.json') as readonly Malformed[]

const decoders: ReadonlyMap<string, (bytes: Buffer, strictness: Strictness) => unknown> =
  new Map<string, (bytes: Buffer, strictness: Strictness) => unknown>([
    ['directory', decodeDirectory],
    ['header', decodeHeader],
    ['application', decodeApplication],
    ['descriptor', decodeDescriptor],
    ['tag list', decodeTagList],
  ])

for (const [kind, decode] of decoders) {
  const cases = fixtures.filter(fixture => fixture.kind === kind)

  t.test(`refuses a ${kind} from a peer when`, async t => {
    t.ok(cases.length > 5)
    for (const { bytes, rule } of cases.map(withBytes)) {
      t.throws(() => decode(bytes, 'strict'), InvalidObjectError, rule)
    }
  })

  t.test(`refuses or reads a stored ${kind}, as is safe, when`, async t => {
    for (const { bytes, rule, tolerant } of cases.map(withBytes)) {
      const read = () => decode(bytes, 'tolerant')
      if (tolerant === 'accepted') t.doesNotThrow(read, rule)
      else t.throws(read, InvalidObjectError, rule)
    }
  })
}

t.test('refuses a digest that', async t => {
  for (const { text, rule } of withText('digest')) {
    t.equal(findDigest(text), undefined, rule)
    t.throws(() => parseDigest(text), InvalidDigestError, rule)
  }
  const cases = fixtures.filter(({ kind }) => kind === 'digest bytes').map(withBytes)
  for (const { bytes, rule } of cases) {
    t.equal(findDigestBytes(bytes), undefined, rule)
    t.throws(() => parseDigestBytes(bytes), InvalidDigestError, rule)
  }
})

t.test('refuses a tag name that', async t => {
  for (const { text, rule } of withText('tag name')) {
    t.equal(findTagName(text), undefined, rule)
    t.throws(() => parseTagName(text), InvalidTagNameError, rule)
  }
})

t.test('an error message shows hostile text without its control characters', async t => {
  for (const text of ['a\nb', 'a\u001b[2Jb', 'a\u202eb', 'a\0b']) {
    t.throws(() => parseTagName(text), { message: /^[\x20-\x7e]*$/ })
    t.throws(() => parseDigest(text), { message: /^[\x20-\x7e]*$/ })
  }
})

t.test('every malformed fixture has a reader', async t => {
  const kinds = new Set(fixtures.map(({ kind }) => kind))
  for (const kind of ['digest', 'digest bytes', 'tag name', ...decoders.keys()]) {
    t.ok(kinds.delete(kind), kind)
  }
  t.equal(kinds.size, 0)
})

function withBytes(fixture: Malformed): Malformed & { readonly bytes: Buffer } {
  if (!('bytes_hex' in fixture)) throw new Error(`no bytes: ${fixture.rule}`)
  return { ...fixture, bytes: Buffer.from(fixture.bytes_hex, 'hex') }
}

function withText(kind: string): { readonly text: string; readonly rule: string }[] {
  return fixtures.flatMap(fixture =>
    fixture.kind === kind && 'text' in fixture ? [fixture] : [],
  )
}
