import t from 'tap'
import { InvalidObjectError, NotRepresentableError } from '../../lib/errors.js'
import { algorithms } from '../../lib/object/algorithm.js'
import { applicationTotals, encodeApplication } from '../../lib/object/application.js'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { parseDigest } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import {
  type Directory,
  type DirectoryLink,
  decodeDirectory,
  encodeDirectory,
  exactTotalsOf,
  totalsOf,
} from '../../lib/object/directory.js'
import { encodeHeader } from '../../lib/object/header.js'
import { runAtOnce } from '../../lib/object/in-steps.js'
import { parseReceivedObject } from '../../lib/object/received-object.js'

const [, , , , , sha512t256] = algorithms
if (sha512t256 === undefined) throw new Error('no algorithm 5')
const algorithm = sha512t256

const headerPayload = encodeHeader({
  mode: 0x8000_01ed,
  rdev: 0,
  uid: 0,
  gid: 0,
  xattrs: [],
})
const header = {
  digest: digestObject(algorithm, 'header', headerPayload),
  size: headerPayload.length,
}

/** Directories that each name the next one twice: few objects, exponentially many paths. */
function nest(levels: number): { payload: Buffer; link: DirectoryLink }[] {
  const nested: { payload: Buffer; link: DirectoryLink }[] = []
  let entries: Directory = []
  for (let level = 0; level < levels; level++) {
    const payload = encodeDirectory(entries)
    const digest = digestObject(algorithm, 'directory', payload)
    const link = { digest, size: payload.length, ...totalsOf(entries) }
    nested.push({ payload, link })
    entries = twice(link)
  }
  return nested
}

function twice(directory: DirectoryLink): Directory {
  return ['a', 'b'].map(name => ({
    name: Buffer.from(name),
    kind: 'directory',
    header,
    directory,
  }))
}

function describe(payload: Buffer, subObjectCount: number): Descriptor {
  const digest = digestObject(algorithm, 'directory', payload)
  return {
    digest,
    size: payload.length,
    type: 'directory',
    subObjectCount,
    subObjectsSize: 0n,
  }
}

function parse(descriptor: Descriptor, payload: Buffer): Descriptor[] {
  return [...runAtOnce(parseReceivedObject(descriptor, payload))]
}

t.test('counts references, not distinct objects', async t => {
  const nested = nest(20)
  t.equal(nested.at(-1)?.link.subObjectCount, 4 * (2 ** 19 - 1))
  for (const { payload, link } of nested) {
    const dependencies = parse({ ...link, type: 'directory' }, payload)
    t.equal(dependencies.length, payload.length > 4 ? 4 : 0)
  }
})

t.test('refuses to write a tree whose references exceed 32 bits', async t => {
  t.equal(nest(31).length, 31)
  t.throws(() => nest(34), NotRepresentableError)
})

t.test('refuses to accept a tree whose references exceed 32 bits', async t => {
  const top = nest(31).at(-1)
  if (top === undefined) throw new Error('no directories')
  const payload = encodeDirectory(twice(top.link))
  const { count } = exactTotalsOf(decodeDirectory(payload, 'strict'))
  t.ok(count > 0xffff_ffffn)
  const wrapped = Number(count % 2n ** 32n)
  for (const announced of [wrapped, 0, 0xffff_ffff]) {
    t.throws(() => parse(describe(payload, announced), payload), InvalidObjectError)
  }
})

t.test('refuses sizes whose sum exceeds 64 bits', async t => {
  const digest = parseDigest(`05${'ab'.repeat(32)}`)
  const half = { digest, size: 5, subObjectCount: 1, subObjectsSize: 2n ** 63n }
  t.throws(() => totalsOf(twice(half)), NotRepresentableError)
  const full = { ...half, subObjectsSize: 2n ** 64n - 1n }
  t.throws(
    () => applicationTotals({ rootHeader: header, rootDirectory: full }),
    NotRepresentableError,
  )
  const most = { ...half, subObjectCount: 0xffff_ffff, subObjectsSize: 0n }
  t.throws(
    () => applicationTotals({ rootHeader: header, rootDirectory: most }),
    NotRepresentableError,
  )
  const payload = encodeDirectory(twice(half))
  t.throws(() => parse(describe(payload, 6), payload), InvalidObjectError)
})

t.test('adds sizes beyond 2^53 exactly', async t => {
  const digest = parseDigest(`05${'ab'.repeat(32)}`)
  const sizes = [2 ** 53 - 1, 2 ** 52, 2 ** 52, 1, 2 ** 52 + 1, 3, 2 ** 53 - 1]
  const entries = sizes.map((size, index) => ({
    name: Buffer.from(`${index}`),
    kind: 'regular' as const,
    header,
    file: { digest, size },
  }))
  const expected = sizes.reduce((sum, size) => sum + BigInt(size) + 18n, 0n)
  t.same(totalsOf(entries), { subObjectCount: 14, subObjectsSize: expected })
})

t.test('refuses announced totals that differ from the content', async t => {
  const [, one] = nest(2)
  if (one === undefined) throw new Error('no directory')
  const right: Descriptor = { ...one.link, type: 'directory' }
  t.same(parse(right, one.payload).length, 4)
  const wrong = [
    { ...right, subObjectCount: right.subObjectCount + 1 },
    { ...right, subObjectsSize: right.subObjectsSize + 1n },
    { ...right, size: right.size + 1 },
    { ...right, type: 'header' as const },
    { ...right, type: 'application' as const },
  ]
  for (const descriptor of wrong) {
    t.throws(() => parse(descriptor, one.payload), InvalidObjectError)
  }
})

t.test('refuses references to another algorithm than the own one', async t => {
  const foreign = { digest: parseDigest(`0a${'ab'.repeat(32)}`), size: 5 }
  const rootDirectory = { ...foreign, subObjectCount: 0, subObjectsSize: 0n }
  const payload = encodeApplication({ rootHeader: header, rootDirectory })
  t.throws(
    () =>
      parse(
        {
          digest: digestObject(algorithm, 'application', payload),
          size: payload.length,
          type: 'application',
          ...applicationTotals({ rootHeader: header, rootDirectory }),
        },
        payload,
      ),
    /another algorithm: expected sha512-256, found blake3/,
  )
})

t.test('a file has no references and no form', async t => {
  const payload = Buffer.from('anything')
  const digest = digestObject(algorithm, 'file', payload)
  const descriptor: Descriptor = {
    digest,
    size: 8,
    type: 'file',
    subObjectCount: 0,
    subObjectsSize: 0n,
  }
  t.same(parse(descriptor, payload), [])
})
