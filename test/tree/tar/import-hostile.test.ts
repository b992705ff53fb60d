import { gzipSync } from 'node:zlib'
import t from 'tap'
import { InvalidArchiveError, LimitExceededError } from '../../../lib/errors.js'
import type { TarImportOptions } from '../../../lib/tree/tar/import-tar.js'
import { importBytes } from '../../support/imported-archive.js'
import {
  archive,
  extension,
  forged,
  headerBytes,
  member,
  pax,
} from '../../support/raw-archive.js'

type Refusal = {
  readonly name: string
  readonly bytes: Buffer
  readonly matches: RegExp
  readonly class?: typeof InvalidArchiveError | typeof LimitExceededError
  readonly options?: TarImportOptions
}

const file = member('file', 'regular', { content: 'content' })
const blockOf = (bytes: Buffer): Buffer => bytes.subarray(0, headerBytes)

function refuses(title: string, refusals: readonly Refusal[]): void {
  t.test(title, async t => {
    for (const { name, bytes, matches, class: Class, options } of refusals) {
      await t.rejects(
        importBytes(bytes, options),
        { constructor: Class ?? InvalidArchiveError, message: matches },
        name,
      )
    }
  })
}

refuses('refuses what leads out of the tree', [
  {
    name: '..',
    bytes: archive(member('a/../../etc/x', 'regular')),
    matches: /byte 0, entry "a\/\.\.\/\.\.\/etc\/x": a name in a path is "\.\."/,
  },
  {
    name: 'a hard link to ..',
    bytes: archive(member('a', 'hard-link', { target: '../etc/passwd' })),
    matches: /a name in a link target is "\.\."/,
  },
  {
    name: 'through a symlink',
    bytes: archive(member('a', 'symlink', { target: '/etc' }), member('a/x', 'regular')),
    matches: /byte 512, entry "a\/x": .*expected a directory at a\/, found a symlink/,
  },
  {
    name: 'a folder through a symlink',
    bytes: archive(member('a', 'symlink', { target: '.' }), member('a/b/', 'directory')),
    matches: /found a symlink/,
  },
  {
    name: 'a hard link through a chain of symlinks',
    bytes: archive(
      member('a/b/c/up', 'symlink', { target: '../..' }),
      member('a/b/escape', 'symlink', { target: 'c/up/../..' }),
      member('pwn', 'hard-link', { target: 'a/b/escape/etc/passwd' }),
    ),
    matches: /found a symlink/,
  },
  {
    name: 'through a file',
    bytes: archive(member('a', 'regular'), member('a/x', 'regular')),
    matches: /found a regular/,
  },
  {
    name: 'a folder that became a symlink',
    bytes: archive(
      member('a/', 'directory'),
      member('a', 'symlink', { target: '/etc' }),
      member('a/x', 'regular'),
    ),
    matches: /found a symlink/,
  },
  {
    name: 'a symlink as the root',
    bytes: archive(member('./', 'symlink', { target: '/etc' })),
    matches: /the root of a tree is a directory: found a symlink/,
  },
  {
    name: 'a file as the root',
    bytes: archive(member('.', 'regular', { content: 'x' })),
    matches: /the root of a tree is a directory/,
  },
])

refuses('refuses hard links to nothing and to folders', [
  {
    name: 'to nothing',
    bytes: archive(member('a', 'hard-link', { target: 'b' })),
    matches: /entry "a": a hard link to an entry that is not there: found b/,
  },
  {
    name: 'to a later entry',
    bytes: archive(member('a', 'hard-link', { target: 'file' }), file),
    matches: /not there/,
  },
  {
    name: 'to what was in a folder that is gone',
    bytes: archive(
      member('d/f', 'regular'),
      member('d', 'fifo'),
      member('d/', 'directory'),
      member('a', 'hard-link', { target: 'd/f' }),
    ),
    matches: /not there/,
  },
  {
    name: 'to a folder',
    bytes: archive(member('d/', 'directory'), member('a', 'hard-link', { target: 'd' })),
    matches: /a hard link to a directory/,
  },
  {
    name: 'to the root',
    bytes: archive(member('a', 'hard-link', { target: '/' })),
    matches: /a hard link to a directory/,
  },
])

refuses('refuses damaged headers', [
  {
    name: 'checksum',
    bytes: archive(Buffer.concat([Buffer.from('X'), file.subarray(1)])),
    matches: /byte 0: wrong checksum of a header: expected \d+, found \d+/,
  },
  {
    name: 'format',
    bytes: archive(forged(file, { 257: 'foobar' })),
    matches: /unknown format/,
  },
  {
    name: 'type',
    bytes: archive(forged(blockOf(file), { 156: 'M' })),
    matches: /unknown type of entry: expected .*, found "M"/,
  },
  {
    name: 'size that is no number',
    bytes: archive(forged(file, { 124: '0000000000z\0' })),
    matches: /impossible size/,
  },
  {
    name: 'negative size',
    bytes: archive(
      forged(file, { 124: '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff' }),
    ),
    matches: /negative size: found -1/,
  },
  {
    name: 'size beyond a double',
    bytes: archive(
      forged(file, { 124: '\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff' }),
    ),
    matches: /impossible size/,
  },
  {
    name: 'owner -1 of 32 bits',
    bytes: archive(forged(file, { 108: '\x80\0\0\0\xff\xff\xff\xff' })),
    matches: /impossible uid: expected at most 4294967294, found 4294967295/,
  },
  {
    name: 'owner beyond 32 bits',
    bytes: archive(forged(file, { 116: '\x80\0\0\x01\0\0\0\0' })),
    matches: /impossible gid/,
  },
  {
    name: 'device beyond Linux',
    bytes: archive(forged(member('d', 'char-device'), { 329: '7777777\0' })),
    matches: /impossible device/,
  },
  {
    name: 'a link with content',
    bytes: archive(
      file,
      forged(member('l', 'hard-link', { target: 'file' }), { 124: '00000000010\0' }),
    ),
    matches: /a hard-link with content: found 8 bytes/,
  },
  {
    name: 'a file that ends in a slash',
    bytes: archive(member('file/', 'regular', { content: 'x' })),
    matches: /a file whose name ends in a slash/,
  },
  { name: 'no name', bytes: archive(member('', 'regular')), matches: /without a name/ },
  {
    name: 'a link without target',
    bytes: archive(member('l', 'symlink')),
    matches: /a link without a target/,
  },
])

refuses('refuses damaged extended headers', [
  {
    name: 'no record',
    bytes: archive(extension('x', 'x'), file),
    matches: /starts no record/,
  },
  {
    name: 'a length beyond the header',
    bytes: archive(extension('x', '99 path=a\n'), file),
    matches: /starts no record/,
  },
  {
    name: 'a length of nothing',
    bytes: archive(extension('x', '0 path=a\n'), file),
    matches: /starts no record/,
  },
  { name: 'no key', bytes: archive(extension('x', '6 =aa\n'), file), matches: /no key/ },
  {
    name: 'NUL in a name',
    bytes: archive(pax([['path', 'a\0b']]), file),
    matches: /path holds a NUL byte/,
  },
  {
    name: 'NUL in a long name',
    bytes: archive(extension('L', 'a\0b'), file),
    matches: /long name holds a NUL byte/,
  },
  {
    name: 'NUL in an attribute',
    bytes: archive(pax([['SCHILY.xattr.user.\0', 'x']]), file),
    matches: /NUL byte/,
  },
  {
    name: 'negative size',
    bytes: archive(pax([['size', '-1']]), file),
    matches:
      /impossible size in an extended header: expected a decimal number, found "-1"/,
  },
  {
    name: 'time that is no number',
    bytes: archive(pax([['mtime', '1e9']]), file),
    matches: /impossible mtime/,
  },
  {
    name: 'two for one entry',
    bytes: archive(pax([]), pax([]), file),
    matches: /two extended headers/,
  },
  {
    name: 'in front of nothing',
    bytes: archive(file, pax([['path', 'a']])),
    matches: /in front of no entry/,
  },
  {
    name: "an entry's own fact for all",
    bytes: archive(extension('g', '11 path=ab\n'), file),
    matches: /a global header holds path/,
  },
])

refuses('refuses what is cut off, and what follows the end', [
  { name: 'nothing', bytes: Buffer.alloc(0), matches: /cut off/ },
  { name: 'no end', bytes: file, matches: /byte 1024: it is cut off/ },
  {
    name: 'half a header',
    bytes: file.subarray(0, 300),
    matches: /expected 512 more bytes, found 300/,
  },
  { name: 'half a content', bytes: file.subarray(0, 515), matches: /cut off/ },
  {
    name: 'in an extended header',
    bytes: pax([['path', 'a']]).subarray(0, 600),
    matches: /cut off/,
  },
  {
    name: 'in gzip',
    bytes: gzipSync(archive(file)).subarray(0, -10),
    matches: /gzip compression is damaged or cut off/,
  },
  {
    name: 'a second archive',
    bytes: Buffer.concat([archive(file), archive(file)]),
    matches: /byte 2048: bytes behind its end: expected zeros/,
  },
  {
    name: 'another compression',
    bytes: Buffer.concat([Buffer.from('BZh91AY'), Buffer.alloc(600)]),
    matches: /unknown compression: expected none, gzip or zstd, found bzip2/,
  },
])

const sparse = (records: readonly (readonly [string, string])[], content = 'x'): Buffer =>
  archive(pax(records), member('s', 'regular', { content }))

refuses('refuses impossible sparse files', [
  {
    name: 'a part behind the end',
    bytes: sparse([
      ['GNU.sparse.size', '10'],
      ['GNU.sparse.map', '10,1'],
    ]),
    matches:
      /impossible part in a sparse map: expected from 0 to 10, found 1 bytes at 10/,
  },
  {
    name: 'parts that overlap',
    bytes: sparse([
      ['GNU.sparse.size', '10'],
      ['GNU.sparse.map', '5,1,2,0'],
    ]),
    matches: /impossible part/,
  },
  {
    name: 'more than is stored',
    bytes: sparse([
      ['GNU.sparse.size', '10'],
      ['GNU.sparse.map', '0,5'],
    ]),
    matches: /does not fit what is stored: expected 1 bytes, found 5/,
  },
  {
    name: 'half a part',
    bytes: sparse([
      ['GNU.sparse.size', '10'],
      ['GNU.sparse.map', '0'],
    ]),
    matches: /half a part/,
  },
  {
    name: 'no size',
    bytes: sparse([['GNU.sparse.map', '0,1']]),
    matches: /without the size/,
  },
  {
    name: 'an unknown version',
    bytes: sparse([
      ['GNU.sparse.major', '2'],
      ['GNU.sparse.minor', '0'],
    ]),
    matches: /unknown version of a sparse file/,
  },
  {
    name: 'a map longer than what is stored',
    bytes: sparse(
      [
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.realsize', '1'],
      ],
      `300\n${'1\n'.repeat(254)}`,
    ),
    matches: /a sparse map is longer than what is stored/,
  },
  {
    name: 'a hole larger than any disk',
    bytes: sparse([
      ['GNU.sparse.size', '9000000000000000'],
      ['GNU.sparse.map', '0,1'],
    ]),
    matches: /files are too large/,
    class: LimitExceededError,
    options: { maxBytes: 10_000_000 },
  },
])

refuses('holds its limits', [
  {
    name: 'entries',
    bytes: archive(member('a/b/c/d', 'regular')),
    matches: /too many entries: expected at most 4/,
    class: LimitExceededError,
    options: { maxEntries: 4 },
  },
  {
    name: 'memory',
    bytes: archive(member('a', 'symlink', { target: 't'.repeat(4000) })),
    matches: /too much memory/,
    class: LimitExceededError,
    options: { maxTableBytes: 6000 },
  },
  {
    name: 'bytes unpacked',
    bytes: gzipSync(Buffer.alloc(10_000_000)),
    matches: /unpacks to too much: expected at most 1000000 bytes/,
    class: LimitExceededError,
    options: { maxBytes: 1_000_000 },
  },
  {
    name: 'an extended header of 8 GiB',
    bytes: archive(forged(blockOf(extension('x', '')), { 124: '77777777777\0' })),
    matches: /bytes of an extended header: expected at most 8388608, found 8589934591/,
    class: LimitExceededError,
  },
  {
    name: 'a long name of 8 GiB',
    bytes: archive(forged(blockOf(extension('L', '')), { 124: '77777777777\0' })),
    matches: /bytes of an extended header: expected at most 65537/,
    class: LimitExceededError,
  },
  {
    name: 'a path of 100,000 levels',
    bytes: archive(member('d/'.repeat(100_000), 'directory')),
    matches: /bytes of a name: expected at most 65536, found 200000/,
    class: LimitExceededError,
  },
  {
    name: 'a name of 256 bytes',
    bytes: archive(member('n'.repeat(256), 'regular')),
    matches: /a name in a path is too long: expected at most 255 bytes, found 256/,
  },
  {
    name: 'a link target beyond PATH_MAX',
    bytes: archive(member('l', 'symlink', { target: 't'.repeat(4096) })),
    matches: /bytes of a link target: expected at most 4095, found 4096/,
    class: LimitExceededError,
  },
  {
    name: 'an attribute of 64 KiB',
    bytes: archive(pax([['SCHILY.xattr.user.a', 'x'.repeat(65_536)]]), file),
    matches: /bytes of extended attribute user\.a: expected at most 65535, found 65536/,
    class: LimitExceededError,
  },
])

t.test('takes a path of 32,000 levels', async t => {
  const imported = await importBytes(archive(member('d/'.repeat(32_000), 'directory')))
  t.equal(imported.entries, 32_001)
})
