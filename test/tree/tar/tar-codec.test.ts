import fc from 'fast-check'
import t from 'tap'
import { InvalidArchiveError } from '../../../lib/errors.js'
import { ByteSource } from '../../../lib/tree/tar/byte-source.js'
import { ExpansionLimit } from '../../../lib/tree/tar/expansion-limit.js'
import { KeyedHash } from '../../../lib/tree/tar/keyed-hash.js'
import { decodePaxRecords, encodePaxRecord } from '../../../lib/tree/tar/pax-records.js'
import type { TarEntry } from '../../../lib/tree/tar/tar-entry.js'
import { findTarNumber } from '../../../lib/tree/tar/tar-number.js'
import { TarReader } from '../../../lib/tree/tar/tar-reader.js'
import { encodeTarEntry, endOfArchive } from '../../../lib/tree/tar/tar-writer.js'
import { archive, extension, member, pax, pieces } from '../../support/raw-archive.js'

const bytesWithoutNul = (maxLength: number) =>
  fc
    .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength })
    .map(bytes => Buffer.from(bytes))

const path = fc
  .array(bytesWithoutNul(60), { minLength: 1, maxLength: 8 })
  .map(names =>
    Buffer.from(
      names.map(name => name.toString('latin1').replaceAll('/', 's')).join('/'),
      'latin1',
    ),
  )

const xattrs = fc
  .uniqueArray(bytesWithoutNul(40), {
    maxLength: 4,
    comparator: (one, other) => one.equals(other),
  })
  .chain(keys =>
    fc.tuple(
      ...keys.map(key =>
        fc
          .uint8Array({ maxLength: 200 })
          .map(value => ({ key, value: Buffer.from(value) })),
      ),
    ),
  )
  .map(list => list.toSorted((one, other) => Buffer.compare(one.key, other.key)))

const arbitraryEntry: fc.Arbitrary<TarEntry> = fc
  .record({
    path,
    kind: fc.constantFrom(
      'regular',
      'hard-link',
      'symlink',
      'char-device',
      'block-device',
      'fifo',
    ),
    permissions: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 0xffff_fffe }),
    gid: fc.integer({ min: 0, max: 0xffff_fffe }),
    rdev: fc.integer({ min: 0, max: 0xffff_ffff }),
    size: fc.constant(0),
    time: fc
      .tuple(
        fc.bigInt({ min: -(10n ** 17n), max: 10n ** 17n }),
        fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
      )
      .map(([seconds, nanoseconds]) => ({ seconds, nanoseconds })),
    target: bytesWithoutNul(400),
    xattrs,
  })
  .map(entry => ({
    ...entry,
    target: entry.kind.endsWith('link') ? entry.target : Buffer.alloc(0),
    rdev: entry.kind.endsWith('device') ? entry.rdev : 0,
  }))

t.test('reads every entry back as it was written', async t => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryEntry,
      fc.integer({ min: 1, max: 2000 }),
      async (entry, size) => {
        const bytes = Buffer.concat([encodeTarEntry(entry), endOfArchive])
        const reader = new TarReader(
          new ByteSource(pieces(bytes, size)),
          new ExpansionLimit(),
        )
        const read = await reader.next()
        t.strictSame(read?.entry, entry)
        t.equal(await reader.next(), undefined)
      },
    ),
    { numRuns: 300 },
  )
})

t.test('throws only its own errors at any bytes', async t => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), async bytes => {
      const source = new ByteSource(pieces(Buffer.from(bytes)))
      await t.rejects(
        new TarReader(source, new ExpansionLimit()).next(),
        InvalidArchiveError,
      )
    }),
  )
})

t.test('counts the digits of a record in its length', t => {
  for (const length of [1, 5, 91, 92, 93, 94, 989, 990, 991, 992, 9988]) {
    const record = encodePaxRecord('k', 'v'.repeat(length))
    const [digits = ''] = record.toString().split(' ')
    t.equal(Number(digits), record.length)
    const [decoded] = decodePaxRecords(record, { offset: 0 })
    t.equal(decoded?.value.length, length)
  }
  t.end()
})

t.test('reads octal and base-256 numbers', t => {
  t.equal(number('0000644\0'), 0o644)
  t.equal(number('  644 \0\0'), 0o644)
  t.equal(number('\0\0\0\0\0\0\0\0'), 0)
  t.equal(number('\x80\0\0\0\0\0\x01\x02'), 258)
  t.equal(number('\xff\xff\xff\xff\xff\xff\xff\xfe'), -2)
  t.equal(number('0000648\0'), undefined, 'no octal digit')
  t.equal(number('0644\x001\0\0'), undefined, 'digits behind the end')
  t.equal(number('-000644\0'), undefined, 'no sign')
  t.equal(number('\x80\x7f\xff\xff\xff\xff\xff\xff'), undefined, 'beyond a double')
  t.end()
})

t.test('takes what PAX, GNU and old headers say of a name', async t => {
  const long = `${'d/'.repeat(120)}file`
  t.same(await paths(member(long, 'regular')), [long])
  t.same(await paths(extension('L', `${long}\0`), member('cut', 'regular')), [long])
  t.same(
    await paths(
      pax([
        ['path', 'one'],
        ['path', 'two'],
      ]),
      member('x', 'regular'),
    ),
    ['two'],
  )
  t.same(
    await paths(
      pax([
        ['path', 'one'],
        ['path', ''],
      ]),
      member('x', 'regular'),
    ),
    ['x'],
  )
  t.same(await paths(extension('g', ''), member('x', 'regular')), ['x'])
  t.same(
    await paths(extension('g', encodePaxRecord('comment', 'c')), member('x', 'regular')),
    ['x'],
  )
})

t.test('hashes by a key of its own', t => {
  const one = new KeyedHash(Buffer.alloc(8, 1))
  const other = new KeyedHash(Buffer.alloc(8, 2))
  const names = Array.from({ length: 1000 }, (_, at) => Buffer.from(`name-${at}`))
  const hashes = new Set(names.map(name => one.hash(1, name)))
  t.ok(hashes.size > 998, 'names are spread')
  t.ok(names.every(name => one.hash(1, name) === one.hash(1, name)))
  t.ok(names.filter(name => one.hash(1, name) === other.hash(1, name)).length < 3)
  t.ok(names.filter(name => one.hash(1, name) === one.hash(2, name)).length < 3)
  t.end()
})

function number(text: string): number | undefined {
  return findTarNumber(Buffer.from(text, 'latin1'))
}

async function paths(...members: readonly Buffer[]): Promise<string[]> {
  const source = new ByteSource(pieces(archive(...members)))
  const reader = new TarReader(source, new ExpansionLimit())
  const found: string[] = []
  for (let next = await reader.next(); next; next = await reader.next()) {
    found.push(next.entry.path.toString())
  }
  return found
}
