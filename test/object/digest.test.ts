import { blake3 as nobleBlake3 } from '@noble/hashes/blake3.js'
import {
  sha224,
  sha256,
  sha384,
  sha512,
  sha512_224,
  sha512_256,
} from '@noble/hashes/sha2.js'
import { sha3_224, sha3_256, sha3_384, sha3_512 } from '@noble/hashes/sha3.js'
import fc from 'fast-check'
import t from 'tap'
import {
  type Algorithm,
  algorithms,
  findAlgorithmById,
  findAlgorithmByName,
  maxDigestBytes,
} from '../../lib/object/algorithm.js'
import { findBlake3, loadBlake3 } from '../../lib/object/blake3.js'
import {
  algorithmOf,
  type Digest,
  digestBytes,
  findDigestBytes,
  parseDigest,
  parseDigestBytes,
} from '../../lib/object/digest.js'
import {
  createDigester,
  createObjectDigester,
  digestObject,
} from '../../lib/object/digester.js'
import { readFixture } from '../support/fixture-file.js'

type DigestVectors = {
  readonly algorithms: readonly {
    readonly id: number
    readonly length: number
    readonly empty: string
    readonly abc: string
    readonly zeros_1MiB: string
  }[]
}

type Blake3Vectors = {
  readonly vectors: readonly { readonly length: number; readonly hash_hex: string }[]
}

const references: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
  sha224,
  sha256,
  sha384,
  sha512,
  sha512_224,
  sha512_256,
  sha3_224,
  sha3_256,
  sha3_384,
  sha3_512,
  nobleBlake3,
]

const implementations = ['native', 'wasm', 'pure'] as const

t.test('the recorded digests of version 1 hold for all its algorithms', async t => {
  const { algorithms: recorded } = readFixture('golden/digests.json') as DigestVectors
  t.equal(recorded.length, 10)
  for (const { id, length, empty, abc, zeros_1MiB } of recorded) {
    const algorithm = algorithmById(id)
    t.equal(1 + algorithm.hashBytes, length, algorithm.name)
    t.equal(digestOf(algorithm, Buffer.alloc(0)), empty)
    t.equal(digestOf(algorithm, Buffer.from('abc')), abc)
    t.equal(digestOf(algorithm, Buffer.alloc(1 << 20)), zeros_1MiB)
  }
})

t.test('every implementation of BLAKE3 gives the recorded hashes', async t => {
  const { vectors } = readFixture('blake3.json') as Blake3Vectors
  t.same(
    vectors.map(({ length }) => length),
    [0, 1, 1023, 1024, 1025, 2048, 65536, 1 << 20],
  )
  for (const name of implementations) {
    const blake3 = findBlake3(name)
    if (blake3 === undefined) {
      t.pass(`${name} has no binary for this platform`)
      continue
    }
    t.equal(blake3.name, name)
    for (const { length, hash_hex } of vectors) {
      const bytes = pattern(length)
      const hash = blake3.start()
      for (let start = 0; start < length; start += 1000) {
        hash.update(bytes.subarray(start, start + 1000))
      }
      t.equal(hash.digest(), hash_hex, `${name}, ${length} bytes`)
      if (length > 0) t.equal(blake3.hash(0, bytes.subarray(1)), hash_hex)
    }
  }
})

t.test('the fastest implementation of BLAKE3 that loads is taken', async t => {
  const expected = implementations.find(name => findBlake3(name) !== undefined)
  t.equal(loadBlake3().name, expected)
})

t.test('whole objects and streams of them have the same digest', async t => {
  const lengths = [0, 1, 17, 18, 1023, 1024, 65535, 65536, 65537, 200_000]
  for (const algorithm of algorithms) {
    for (const length of lengths) {
      const payload = pattern(length)
      const digester = createObjectDigester(algorithm, 'header')
      digester.update(payload.subarray(0, 700))
      digester.update(payload.subarray(700))
      const whole = digestObject(algorithm, 'header', payload)
      t.equal(digester.digest(), whole, `${algorithm.name}, ${length} bytes`)
    }
  }
})

t.test('an independent implementation agrees on any bytes', async t => {
  fc.assert(
    fc.property(
      fc.constantFrom(...algorithms),
      fc.uint8Array({ maxLength: 5000 }),
      fc.constantFrom('file', 'directory', 'header', 'application'),
      (algorithm, payload, type) => {
        const types = ['file', 'directory', 'header', 'application']
        const bytes = Uint8Array.of(types.indexOf(type), ...payload)
        const reference = references[algorithm.id]?.(bytes)
        const expected = Buffer.of(algorithm.id, ...(reference ?? [])).toString('hex')
        const found = digestObject(algorithm, type, payload)
        if (found !== expected)
          throw new Error(`${algorithm.name}: ${found}, ${expected}`)
      },
    ),
    { numRuns: 300 },
  )
  t.pass()
})

t.test('a digest does not depend on where its bytes lie in memory', async t => {
  const algorithm = algorithmById(10)
  const large = pattern(5000)
  const view = new Uint8Array(large.buffer, large.byteOffset + 7, 3000)
  t.equal(
    digestObject(algorithm, 'file', view),
    digestObject(algorithm, 'file', Buffer.from(view)),
  )
})

t.test('text and bytes of a digest are two forms of one', async t => {
  for (const algorithm of algorithms) {
    const digest = digestOf(algorithm, Buffer.from('x'))
    t.equal(parseDigest(digest), digest)
    t.equal(parseDigestBytes(digestBytes(digest)), digest)
    t.equal(findDigestBytes(new Uint8Array(digestBytes(digest))), digest)
    t.equal(algorithmOf(digest), algorithm)
    t.ok(digestBytes(digest).length <= maxDigestBytes)
  }
})

t.test('algorithms are found by id and by name', async t => {
  for (const [id, algorithm] of algorithms.entries()) {
    t.equal(algorithm.id, id)
    t.equal(findAlgorithmById(id), algorithm)
    t.equal(findAlgorithmByName(algorithm.name), algorithm)
  }
  t.equal(findAlgorithmById(11), undefined)
  t.equal(findAlgorithmById(255), undefined)
  t.equal(findAlgorithmByName('SHA256'), undefined)
  t.equal(findAlgorithmByName('__proto__'), undefined)
})

function algorithmById(id: number): Algorithm {
  const algorithm = findAlgorithmById(id)
  if (algorithm === undefined) throw new Error(`no algorithm ${id}`)
  return algorithm
}

function digestOf(algorithm: Algorithm, bytes: Buffer): Digest {
  const digester = createDigester(algorithm)
  digester.update(bytes)
  return digester.digest()
}

function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let index = 0; index < length; index++) bytes[index] = index % 251
  return bytes
}
