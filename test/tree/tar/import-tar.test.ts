import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { findAlgorithmByName } from '../../../lib/object/algorithm.js'
import { MemoryStore } from '../../../lib/store/memory-store.js'
import { storeApplication } from '../../../lib/tree/source/store-application.js'
import { isRoot, makeHardTree } from '../../support/hard-tree.js'
import {
  describeImported,
  hardLinksOf,
  importBytes,
} from '../../support/imported-archive.js'
import { archive, extension, forged, member, pax } from '../../support/raw-archive.js'

const missing = missingPrograms('tar', 'zstd')
const skip = !isRoot ? 'needs root' : missing

t.test('stores what GNU tar extracts, with one digest', { skip }, async t => {
  const folder = t.testdir()
  const source = join(folder, 'source')
  const extracted = join(folder, 'extracted')
  mkdirSync(source)
  mkdirSync(extracted)
  makeTarTree(source)
  const attributes = ['--xattrs', '--xattrs-include=*', '--numeric-owner']
  const packed = tar(['-C', source, ...attributes, '--format=pax', '-cf', '-', '.'])
  execFileSync('tar', [...attributes, '-xpf', '-', '-C', extracted], {
    input: packed,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // GNU tar does not keep the names of a fifo together: what it extracts counts.
  const expected = await digestOfFolder(extracted)
  for (const [name, flags] of [
    ['pax', ['--format=pax']],
    ['pax, sparse 1.0', ['--format=pax', '-S', '--sparse-version=1.0']],
    ['pax, sparse 0.1', ['--format=pax', '-S', '--sparse-version=0.1']],
    ['pax, sparse 0.0', ['--format=pax', '-S', '--sparse-version=0.0']],
    ['gzip', ['--format=pax', '-z']],
    ['zstd', ['--format=pax', '--zstd']],
  ] as const) {
    const bytes = tar(['-C', source, ...attributes, ...flags, '-cf', '-', '.'])
    const { descriptor, leftOut } = await importBytes(bytes)
    t.equal(descriptor.digest, expected, name)
    t.same(leftOut, [])
  }
})

t.test('reads GNU, ustar and version 7 archives', { skip }, async t => {
  const folder = t.testdir()
  const source = join(folder, 'source')
  mkdirSync(source)
  makePlainTree(source)
  for (const format of ['gnu', 'oldgnu', 'ustar', 'v7']) {
    const holes = format.includes('gnu') ? ['-S'] : []
    const bytes = tar(['-C', source, `--format=${format}`, ...holes, '-cf', '-', '.'])
    const extracted = join(folder, format)
    mkdirSync(extracted)
    execFileSync('tar', ['-xpf', '-', '-C', extracted], { input: bytes })
    const { descriptor } = await importBytes(bytes)
    t.equal(descriptor.digest, await digestOfFolder(extracted), format)
  }
})

t.test('takes entries in any order, and in pieces of any size', async t => {
  const folder = member('a/', 'directory', { permissions: 0o700 })
  const file = member('a/f', 'regular', { content: 'x' })
  const inner = member('a/b/c/g', 'regular', { content: 'y' })
  const expected = [
    'directory 700 a',
    'directory 755 a/b',
    'directory 755 a/b/c',
    'regular 644 a/b/c/g y',
    'regular 644 a/f x',
  ]
  for (const members of [
    [folder, file, inner],
    [inner, file, folder],
    [file, inner, folder],
  ]) {
    for (const pieceBytes of [1, 511, 512, 4096]) {
      const imported = await importBytes(archive(...members), { pieceBytes })
      t.same(await describeImported(imported), expected)
      t.equal(imported.entries, 6)
    }
  }
})

t.test('lets the later of two entries count', async t => {
  const below = member('n/below', 'regular')
  const symlink = member('n', 'symlink', { target: 'elsewhere' })
  const folder = member('n/', 'directory')
  t.same(await lines(n('one'), n('two')), ['regular 644 n two'])
  t.same(await lines(n('one'), folder, below), [
    'directory 755 n',
    'regular 644 n/below ',
  ])
  t.same(await lines(folder, below, n('two')), ['regular 644 n two'])
  t.same(await lines(folder, below, symlink, folder), ['directory 755 n'])
  t.same(await lines(folder, below, member('n/', 'directory', { permissions: 0o700 })), [
    'directory 700 n',
    'regular 644 n/below ',
  ])
})

t.test('keeps names of one file together until one is replaced', async t => {
  const first = member('a', 'regular', { content: 'x' })
  t.same(await groups(first, link('b', './a'), link('c', '/b')), [[1, 2, 3]])
  t.same(await groups(first, link('b', 'a'), member('a', 'regular')), [])
  t.same(await groups(first, link('b', 'a'), link('c', 'b'), member('a', 'fifo')), [
    [2, 3],
  ])
  t.same(await groups(first, link('a', 'a')), [], 'a link to itself changes nothing')
  const imported = await importBytes(archive(first, link('b', 'a'), member('a', 'fifo')))
  t.same(await describeImported(imported), ['fifo 644 a', 'regular 644 b x'])
})

t.test('keeps a leading slash and dots inside the tree', async t => {
  const imported = await importBytes(
    archive(
      member('/etc/name', 'regular', { content: 'x' }),
      member('.//./etc/./link', 'symlink', { target: '../../../outside' }),
      member('./', 'directory', { permissions: 0o711 }),
    ),
  )
  t.same(await describeImported(imported), [
    'directory 755 etc',
    'symlink 644 etc/link -> ../../../outside',
    'regular 644 etc/name x',
  ])
})

t.test('tells what an archive says that no tree can hold', async t => {
  const { leftOut } = await importBytes(
    archive(
      pax([['SCHILY.acl.access', 'user::rw-,user:someone:r--,mask::r--,other::---']]),
      member('a', 'regular'),
    ),
  )
  t.same(leftOut, [{ kind: 'acl', count: 1, paths: [Buffer.from('a')] }])
})

t.test('reads what bsdtar writes of access lists', async t => {
  const text = 'user::rw-,user:123456:r--:123456,group::r--,mask::r--,other::---'
  const value = Buffer.from(
    '0200000001000600ffffffff0200040040e2010004000400ffffffff10000400ffffffff20000000ffffffff',
    'hex',
  )
  const one = await importBytes(
    archive(pax([['SCHILY.acl.access', text]]), member('a', 'regular')),
  )
  const key = Buffer.from('system.posix_acl_access')
  const other = await importBytes(
    archive(member('a', 'regular', { xattrs: [{ key, value }] })),
  )
  t.equal(one.descriptor.digest, other.descriptor.digest)
  t.same(one.leftOut, [])
})

t.test('reads attributes with binary keys and values', async t => {
  const value = Buffer.from([0, 10, 255, 61])
  const records = [
    ['SCHILY.xattr.user.a%3Db%25', value],
    ['LIBARCHIVE.xattr.user.only%20here', value.toString('base64')],
  ] as const
  const one = await importBytes(archive(pax(records), member('a', 'regular')))
  const other = await importBytes(
    archive(
      member('a', 'regular', {
        xattrs: [
          { key: Buffer.from('user.a=b%'), value },
          { key: Buffer.from('user.only here'), value },
        ],
      }),
    ),
  )
  t.equal(one.descriptor.digest, other.descriptor.digest)
})

t.test('stores files of any size', async t => {
  const large = Buffer.alloc(3 * 1024 * 1024 + 5, 'large')
  const imported = await importBytes(
    archive(member('a', 'regular', { content: large }), member('b', 'regular')),
    { pieceBytes: 100_000 },
  )
  t.equal(imported.bytes, large.length)
})

t.test('leaves modification times out when told', async t => {
  t.equal(await digestOf(1n, false), await digestOf(2n, false))
  t.not(await digestOf(1n, true), await digestOf(2n, true))
})

t.test('reads gzip in several members', async t => {
  const bytes = archive(member('a', 'regular', { content: 'x' }))
  const packed = Buffer.concat([
    gzipSync(bytes.subarray(0, 700)),
    gzipSync(bytes.subarray(700)),
  ])
  t.same(await describeImported(await importBytes(packed)), ['regular 644 a x'])
})

t.test('takes an old file whose name ends in a slash for a folder', async t => {
  const block = member('old', 'regular')
  const bytes = archive(forged(block, { 0: 'old/', 156: '\0', 257: '\0'.repeat(8) }))
  t.same(await describeImported(await importBytes(bytes)), ['directory 644 old'])
})

t.test('passes over the label of a volume', async t => {
  const bytes = archive(extension('V', ''), member('a', 'regular'))
  t.same(await describeImported(await importBytes(bytes)), ['regular 644 a '])
})

async function lines(...members: readonly Buffer[]): Promise<string[]> {
  return describeImported(await importBytes(archive(...members)))
}

async function groups(...members: readonly Buffer[]): ReturnType<typeof hardLinksOf> {
  return hardLinksOf(await importBytes(archive(...members)))
}

function n(content: string): Buffer {
  return member('n', 'regular', { content })
}

function link(path: string, target: string): Buffer {
  return member(path, 'hard-link', { target })
}

function madeAt(seconds: bigint): Buffer {
  return archive(member('a', 'regular', { time: { seconds, nanoseconds: 0 } }))
}

async function digestOf(seconds: bigint, mtimes: boolean): Promise<string> {
  return (await importBytes(madeAt(seconds), { mtimes })).descriptor.digest
}

async function digestOfFolder(folder: string): Promise<string> {
  const algorithm = findAlgorithmByName('blake3')
  if (algorithm === undefined) throw new Error('no blake3')
  const store = new MemoryStore()
  await using session = await store.begin({ algorithm, folder: '', publishing: 'whole' })
  const { descriptor } = await storeApplication(folder, session, { mtimes: true })
  return descriptor.digest
}

// What GNU tar can put into an archive: no sockets, no path beyond PATH_MAX.
function makeTarTree(source: string): void {
  makeHardTree(join(source, 'tree'))
  execFileSync('rm', [
    '-rf',
    join(source, 'tree', 'socket'),
    join(source, 'tree', 'd'.repeat(250)),
  ])
}

function makePlainTree(source: string): void {
  execFileSync(
    'sh',
    [
      '-c',
      'mkdir -p a/b && echo x > a/b/file && ln a/b/file hard && ln -s a/b soft && ' +
        'truncate -s 1M sparse && printf data | dd of=sparse bs=1 seek=500000 conv=notrunc 2>&1 && ' +
        'truncate -s 2M sparse && chmod 4755 hard && touch -d @1234567890 a/b/file a/b a sparse .',
    ],
    { cwd: source },
  )
}

function tar(args: readonly string[]): Buffer {
  return execFileSync('tar', args, { maxBuffer: 1024 ** 3 })
}

function missingPrograms(...programs: readonly string[]): string | false {
  for (const program of programs) {
    try {
      execFileSync(program, ['--version'], { stdio: 'ignore' })
    } catch {
      return `needs ${program}`
    }
  }
  return false
}
