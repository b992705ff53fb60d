import fc from 'fast-check'
import t from 'tap'
import { CairnError } from '../../../lib/errors.js'
import type { Descriptor } from '../../../lib/object/descriptor.js'
import { parseDigest } from '../../../lib/object/digest.js'
import { parseTagName } from '../../../lib/object/tag-name.js'
import {
  decodeDigestRow,
  encodeDigestRow,
} from '../../../lib/remote/version2/digest-row.js'
import {
  decodePullAnswer,
  decodePullRequest,
  encodePullRequest,
  pullAnswerMembers,
} from '../../../lib/remote/version2/pull-message.js'
import {
  decodeBits,
  decodePushHead,
  encodeBits,
  pushHeadMembers,
} from '../../../lib/remote/version2/push-message.js'
import {
  decodeMembers,
  encodeHead,
  takeHead,
} from '../../../lib/remote/version2/transfer-head.js'
import { Bitmap } from '../../../lib/store/bitmap.js'
import { StreamBytes } from '../../../lib/store/pack/stream-bytes.js'

const digests = fc
  .tuple(
    fc.constantFrom(
      ['0a', 32] as const,
      ['05', 32] as const,
      ['03', 64] as const,
      ['00', 28] as const,
    ),
    fc.nat(),
  )
  .map(([[id, bytes], number]) =>
    parseDigest(`${id}${number.toString(16).padStart(2 * bytes, '0')}`),
  )

const descriptors: fc.Arbitrary<Descriptor> = fc.record({
  digest: digests,
  type: fc.constant('application' as const),
  size: fc.nat(),
  subObjectCount: fc.nat(2 ** 31),
  subObjectsSize: fc.bigInt(0n, 2n ** 62n),
})

async function* bytesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

t.test('requests and answers read as they were written', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 5 }),
      fc.array(digests, { maxLength: 5 }),
      fc.array(digests, { maxLength: 5 }),
      fc.boolean(),
      (wants, haves, known, plan) => {
        const request = { wants, haves, known, codecs: ['zstd'] as const, plan }
        t.same(decodePullRequest(encodePullRequest(request)), request)
      },
    ),
    { numRuns: 50 },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(descriptors, { maxLength: 4 }),
      fc.array(digests),
      async (roots, haves) => {
        const sequences = roots.map((_, index) =>
          index === 0 ? undefined : BigInt(index),
        )
        const plan = { objects: 1, bytes: 2, storedBytes: 3 }
        const answer = { roots, sequences, haves: haves.slice(0, 9), plan }
        const bytes = encodeHead(pullAnswerMembers(answer))
        const head = await takeHead(new StreamBytes(bytesOf(bytes), 'x'), 'x')
        t.same(decodePullAnswer(head, 'x'), answer)
      },
    ),
    { numRuns: 50 },
  )
  fc.assert(
    fc.property(descriptors, fc.option(digests), (root, digest) => {
      const tag = { name: parseTagName('app'), expected: digest ?? ('absent' as const) }
      t.same(decodePushHead(pushHeadMembers({ root, tag }), 'x'), { root, tag })
      t.same(decodePushHead(pushHeadMembers({ root }), 'x'), { root })
    }),
    { numRuns: 50 },
  )
})

t.test('rows of digests and of bits read as they were written', async t => {
  fc.assert(
    fc.property(fc.array(digests), row => {
      t.same(decodeDigestRow(encodeDigestRow(row), row.length), row)
    }),
    { numRuns: 30 },
  )
  fc.assert(
    fc.property(fc.array(fc.boolean()), row => {
      const bits = new Bitmap(row.length)
      for (const [index, bit] of row.entries()) if (bit) bits.set(index)
      const read = decodeBits(encodeBits(bits), row.length)
      t.same(
        row.map((_, index) => read.get(index)),
        row,
      )
    }),
    { numRuns: 30 },
  )
  const three = encodeDigestRow([1, 2, 3].map(n => parseDigest(`0a${`${n}`.repeat(64)}`)))
  t.throws(() => decodeDigestRow(three, 2), { code: 'invalid_object' })
  t.throws(() => decodeDigestRow(three.subarray(0, 98), 9), { code: 'invalid_object' })
  t.throws(() => decodeBits(Buffer.alloc(2), 8), { code: 'invalid_object' })
})

t.test('bytes that are no message are refused as such', async t => {
  const root: Descriptor = {
    digest: parseDigest(`0a${'12'.repeat(32)}`),
    type: 'application',
    size: 9,
    subObjectCount: 3,
    subObjectsSize: 40n,
  }
  const request = encodePullRequest({
    wants: ['app'],
    haves: [root.digest],
    known: [root.digest],
    codecs: ['zstd'],
    plan: true,
  })
  const answer = encodeHead(
    pullAnswerMembers({ roots: [root], sequences: [2n], haves: [root.digest] }),
  )
  let refused = 0
  const attempt = async (read: () => unknown): Promise<void> => {
    try {
      await read()
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      refused += 1
    }
  }
  for (let at = 0; at < request.length; at += 1) {
    for (const flip of [1, 0x80, 0xff]) {
      const changed = Buffer.from(request)
      changed[at] = (changed[at] ?? 0) ^ flip
      await attempt(() => decodePullRequest(changed))
    }
    await attempt(() => decodePullRequest(request.subarray(0, at)))
  }
  for (let at = 0; at < answer.length; at += 1) {
    const changed = Buffer.from(answer)
    changed[at] = (changed[at] ?? 0) ^ 0x10
    const before = refused
    await attempt(async () => takeHead(new StreamBytes(bytesOf(changed), 'x'), 'x'))
    t.equal(refused, before + 1, `answer with another byte ${at}`)
  }
  t.ok(refused > request.length)
  t.throws(() => decodeMembers(Buffer.from([0xa1, 0x20, 0x01]), 'x'), {
    code: 'invalid_object',
  })
})
