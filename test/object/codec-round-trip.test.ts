import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { CairnError } from '../../lib/errors.js'
import { decodeApplication, encodeApplication } from '../../lib/object/application.js'
import {
  decodeExtension,
  encodeExtension,
} from '../../lib/object/application-extension.js'
import { decodeCbor } from '../../lib/object/canonical-cbor.js'
import { decodeDescriptor, encodeDescriptor } from '../../lib/object/descriptor.js'
import { findDigest, findDigestBytes, parseDigest } from '../../lib/object/digest.js'
import { decodeDirectory, encodeDirectory } from '../../lib/object/directory.js'
import { DirectoryEncoder } from '../../lib/object/directory-encoder.js'
import { DirectoryView } from '../../lib/object/directory-view.js'
import { walkDirectory } from '../../lib/object/directory-walk.js'
import { decodeHeader, encodeHeader } from '../../lib/object/header.js'
import { runAtOnce } from '../../lib/object/in-steps.js'
import { ModificationTimesDecoder } from '../../lib/object/modification-times.js'
import type { ObjectType } from '../../lib/object/object-type.js'
import { dependenciesOf, parseReceivedObject } from '../../lib/object/received-object.js'
import type { Strictness } from '../../lib/object/strictness.js'
import { decodeTagList, encodeTagList } from '../../lib/object/tag-list.js'
import {
  anyApplication,
  anyBytes,
  anyDescriptor,
  anyDirectory,
  anyExtension,
  anyHeader,
  anyTags,
  damaged,
} from '../support/arbitrary-object.js'

type Codec<Value> = {
  readonly name: string
  readonly values: fc.Arbitrary<Value>
  readonly encode: (value: Value) => Buffer
  readonly decode: (bytes: Buffer) => Value
  /** Undoes a freedom that the format leaves to the writer, none by default. */
  readonly settle?: (value: Value) => unknown
}

function codec<Value>(parts: Codec<Value>): Codec<unknown> {
  return parts as Codec<unknown>
}

const codecs: readonly Codec<unknown>[] = [
  codec({
    name: 'descriptor',
    values: anyDescriptor,
    encode: encodeDescriptor,
    decode: decodeDescriptor,
  }),
  codec({
    name: 'header',
    values: anyHeader,
    encode: encodeHeader,
    decode: bytes => decodeHeader(bytes, 'strict'),
  }),
  codec({
    name: 'directory',
    values: anyDirectory(10),
    encode: encodeDirectory,
    decode: bytes => [...decodeDirectory(bytes, 'strict')],
  }),
  codec({
    name: 'application',
    values: anyApplication(10),
    encode: encodeApplication,
    decode: bytes => decodeApplication(bytes, 'strict'),
  }),
  codec({
    name: 'application extension',
    values: anyExtension(0xffff_ffff),
    encode: extension => encodeExtension(extension) ?? Buffer.alloc(0),
    decode: decodeExtension,
  }),
  codec({
    name: 'tag list',
    values: anyTags,
    encode: encodeTagList,
    decode: decodeTagList,
    // Tags may come in any order.
    settle: tags => tags.toSorted((one, other) => (one.name < other.name ? -1 : 1)),
  }),
]

for (const { name, values, encode, decode, settle } of codecs) {
  t.test(`${name}: what is encoded comes back from decoding`, async t => {
    fc.assert(
      fc.property(values, value => {
        const bytes = encode(value)
        const decoded = decode(bytes)
        if (!isDeepStrictEqual(decoded, value)) fail(bytes)
        if (!encode(decoded).equals(bytes)) fail(bytes)
      }),
      { numRuns: 300 },
    )
    t.pass()
  })

  t.test(`${name}: damaged bytes are refused, or have one encoding`, async t => {
    fc.assert(
      fc.property(damaged(values.map(encode)), bytes => {
        const decoded = refusalOf(() => decode(bytes))
        if (decoded === undefined) return
        const again = encode(decoded.value)
        const isSame = settle
          ? again.length === bytes.length &&
            isDeepStrictEqual(settle(decode(again)), settle(decoded.value))
          : again.equals(bytes)
        if (!isSame) fail(bytes)
      }),
      { numRuns: 1000 },
    )
    t.pass()
  })
}

t.test(
  'a tolerant reader accepts all that a strict one does, with one meaning',
  async t => {
    fc.assert(
      fc.property(damaged(anyDirectory(5).map(encodeDirectory)), bytes => {
        const strict = refusalOf(() => decodeDirectory(bytes, 'strict'))
        const tolerant = refusalOf(() => decodeDirectory(bytes, 'tolerant'))
        if (strict !== undefined && !isDeepStrictEqual(tolerant?.value, strict.value)) {
          fail(bytes)
        }
      }),
    )
    t.pass()
  },
)

const strictnesses: readonly Strictness[] = ['strict', 'tolerant']
const types: readonly ObjectType[] = ['file', 'directory', 'header', 'application']

t.test('every decoder answers any bytes with a value or an error of ours', async t => {
  const decoders: ((bytes: Buffer) => unknown)[] = [
    decodeDescriptor,
    decodeTagList,
    decodeExtension,
    decodeCbor,
    findDigestBytes,
    bytes => parseDigest(bytes.toString('latin1')),
    bytes => findDigest(bytes.toString('hex')),
    ...strictnesses.flatMap(strictness => [
      (bytes: Buffer) => decodeHeader(bytes, strictness),
      (bytes: Buffer) => decodeDirectory(bytes, strictness),
      (bytes: Buffer) => decodeApplication(bytes, strictness),
      ...types.map(type => (bytes: Buffer) => dependenciesOf(type, bytes, strictness)),
    ]),
    readAllTimes,
  ]
  const starts = ['', '01000000', 'a104', 'a1184081', '0100', '210005', '1d0000']
  fc.assert(
    fc.property(
      fc.constantFrom(...starts),
      anyBytes({ maxLength: 300 }),
      (start, bytes) => {
        const all = Buffer.concat([Buffer.from(start, 'hex'), bytes])
        for (const decode of decoders) refusalOf(() => decode(all))
      },
    ),
    { numRuns: 3000 },
  )
  t.pass()
})

t.test('a received object is refused or accepted, never anything else', async t => {
  fc.assert(
    fc.property(
      anyDescriptor,
      fc.oneof(
        anyBytes({ maxLength: 100 }),
        damaged(anyDirectory(10).map(encodeDirectory)),
        damaged(anyApplication(10).map(encodeApplication)),
        damaged(anyHeader.map(encodeHeader)),
      ),
      (descriptor, payload) => {
        refusalOf(() =>
          runAtOnce(
            parseReceivedObject({ ...descriptor, size: payload.length }, payload),
          ),
        )
      },
    ),
    { numRuns: 2000 },
  )
  t.pass()
})

t.test(
  'a walk takes the directories that decoding takes, and gives their entries',
  async t => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyDirectory(10).map(encodeDirectory),
          damaged(anyDirectory(10).map(encodeDirectory)),
        ),
        payload => {
          const decoded = refusalOf(() => decodeDirectory(payload, 'strict'))
          const walked = refusalOf(() =>
            Array.from(walkDirectory(payload, 'strict'), ({ entry }) => entry),
          )
          return isDeepStrictEqual(walked, decoded)
        },
      ),
      { numRuns: 2000 },
    )
    t.pass()
  },
)

t.test('a view takes the directories that decoding takes, and shows them', async t => {
  fc.assert(
    fc.property(
      fc.oneof(
        anyDirectory(10).map(encodeDirectory),
        damaged(anyDirectory(10).map(encodeDirectory)),
      ),
      fc.constantFrom(...strictnesses),
      (payload, strictness) => {
        const decoded = refusalOf(() => decodeDirectory(payload, strictness))
        const viewed = refusalOf(() => [...new DirectoryView(payload, strictness)])
        return isDeepStrictEqual(viewed, decoded)
      },
    ),
    { numRuns: 3000 },
  )
  t.pass()
})

t.test('an encoder encodes what encoding at once does, and refuses the rest', async t => {
  fc.assert(
    fc.property(
      anyDirectory(10),
      fc.option(fc.tuple(fc.nat(9), fc.nat(9))),
      (directory, swap) => {
        const entries = [...directory]
        const [one, other] = swap ?? [0, 0]
        const [first, second] = [entries[one], entries[other]]
        if (first && second) [entries[one], entries[other]] = [second, first]
        const atOnce = refusalOf(() => encodeDirectory(entries))
        const encoded = refusalOf(() => {
          const encoder = new DirectoryEncoder({ entries: 0, nameBytes: 0 })
          for (const entry of entries) encoder.add(entry)
          return encoder.finish()
        })
        return isDeepStrictEqual(encoded, atOnce)
      },
    ),
    { numRuns: 1000 },
  )
  t.pass()
})

t.test('a walk refuses a name that a directory and a file have', async t => {
  const digest = parseDigest(`05${'ab'.repeat(32)}`)
  const header = { digest, size: 18 }
  const names = ['a', 'b', 'd', 'x', 'y']
  for (const shared of names) {
    const directory = { digest, size: 4, subObjectCount: 0, subObjectsSize: 0n }
    const payload = Buffer.concat([
      Buffer.from([names.length + 1, 0, 0, 0]),
      encodeDirectory([
        { kind: 'directory', name: Buffer.from(shared), header, directory },
      ]).subarray(4),
      encodeDirectory(
        names.map(name => ({ kind: 'fifo', name: Buffer.from(name), header })),
      ).subarray(4),
    ])
    t.throws(() => [...walkDirectory(payload, 'strict')], /stands twice/, shared)
  }
})

function readAllTimes(bytes: Buffer): void {
  const decoder = new ModificationTimesDecoder(bytes)
  for (let index = 0; index <= bytes.length; index++) decoder.next()
}

/** The value, or undefined for a refusal; any other error goes through. */
function refusalOf<Value>(run: () => Value): { readonly value: Value } | undefined {
  try {
    return { value: run() }
  } catch (error) {
    if (error instanceof CairnError) return undefined
    throw error
  }
}

function fail(bytes: Buffer): never {
  throw new Error(`broken for ${bytes.toString('hex')}`)
}
