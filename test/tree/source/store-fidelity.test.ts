import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { NotRepresentableError } from '../../../lib/errors.js'
import { escapeBytes } from '../../../lib/object/escape.js'
import { ModificationTimesDecoder } from '../../../lib/object/modification-times.js'
import { joinPath } from '../../../lib/system/directory-descent.js'
import { makeDevice, makeFifo, makeSocket } from '../../../lib/system/special-file.js'
import { setXattr } from '../../../lib/system/xattr.js'
import {
  makeDeepFolder,
  makeDeepTree,
  makeMemoryFolder,
  needsRoot,
  removeDeepFolder,
  removeFolder,
} from '../../support/source-folder.js'
import { readContent, storeInMemory } from '../../support/stored-tree.js'

// VFS_CAP_REVISION_2, effective, cap_net_raw.
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
// Version 2; user::rw-, user:123456:r--, group::r--, mask::r--, other::---.
const accessList = Buffer.from(
  '0200000001000600ffffffff0200040040e2010004000400ffffffff10000400ffffffff20000000ffffffff',
  'hex',
)

t.test(
  'records every kind of entry with all that it is',
  { skip: needsRoot },
  async t => {
    const folder = t.testdir({ full: {}, empty: {} })
    const at = (name: string) => join(folder, name)
    writeFileSync(at('set-id'), 'x')
    chownSync(at('set-id'), 123456, 54321)
    chmodSync(at('set-id'), 0o6755)
    chmodSync(at('empty'), 0o1777)
    writeFileSync(at('closed'), 'secret', { mode: 0 })
    chmodSync(at('closed'), 0)
    writeFileSync(at('capable'), '')
    setXattr(Buffer.from(at('capable')), Buffer.from('security.capability'), capability)
    writeFileSync(at('shared'), '', { mode: 0o640 })
    setXattr(
      Buffer.from(at('shared')),
      Buffer.from('system.posix_acl_access'),
      accessList,
    )
    for (const key of ['user.z', 'user.a', 'trusted.t', 'user.\u00ff']) {
      setXattr(Buffer.from(at('full')), Buffer.from(key), Buffer.from(`value of ${key}`))
    }
    symlinkSync('no\\where', at('link'))
    setXattr(Buffer.from(at('link')), Buffer.from('trusted.link'), Buffer.from([0, 255]))
    makeDevice(Buffer.from(at('block')), 'block', 0x1001_0301)
    makeDevice(Buffer.from(at('char')), 'char', 0x0103)
    makeFifo(Buffer.from(at('fifo')))
    makeSocket(Buffer.from(at('socket')))
    writeFileSync(at('sparse'), '')
    truncateSync(at('sparse'), 3_000_000)
    const strange = Buffer.from([0xff, 0xfe, 0x0a, 0x5c, 0x80])
    writeFileSync(joinPath(Buffer.from(folder), strange), 'strange')
    const longest = 'n'.repeat(255)
    writeFileSync(at(longest), 'long')

    const { store, entries, stats } = await storeInMemory(folder)
    const header = (path: string) => entries.get(path)?.header
    t.equal(header('set-id')?.mode, 0x00c0_01ed)
    t.equal(header('set-id')?.uid, 123456)
    t.equal(header('set-id')?.gid, 54321)
    t.equal(header('empty')?.mode, 0x8010_01ff)
    t.same(entries.get('empty')?.entry.kind, 'directory')
    t.equal(header('closed')?.mode, 0)
    t.equal((await readContent(store, entries.get('closed')?.entry)).toString(), 'secret')
    t.same(header('capable')?.xattrs, [
      { key: Buffer.from('security.capability'), value: capability },
    ])
    t.same(header('shared')?.xattrs, [
      { key: Buffer.from('system.posix_acl_access'), value: accessList },
    ])
    t.same(
      header('full')?.xattrs.map(({ key, value }) => [String(key), String(value)]),
      ['trusted.t', 'user.a', 'user.z', 'user.\u00ff'].map(key => [
        key,
        `value of ${key}`,
      ]),
    )
    const link = entries.get('link')
    t.same(link?.entry.kind === 'symlink' && link.entry.target, Buffer.from('no\\where'))
    t.same(link?.header.xattrs, [
      { key: Buffer.from('trusted.link'), value: Buffer.from([0, 255]) },
    ])
    for (const [name, kind, mode, rdev] of [
      ['block', 'block-device', 0x0400_0180, 0x1001_0301],
      ['char', 'char-device', 0x0420_0180, 0x0103],
      ['fifo', 'fifo', 0x0200_0180, 0],
      ['socket', 'socket', 0x0100_0180, 0],
    ] as const) {
      t.equal(entries.get(name)?.entry.kind, kind)
      t.match(header(name), { mode, rdev, xattrs: [] })
    }
    const sparse = await readContent(store, entries.get('sparse')?.entry)
    t.ok(sparse.equals(Buffer.alloc(3_000_000)))
    t.ok(entries.has(escapeBytes(strange)))
    t.ok(entries.has(longest))
    t.equal(stats.entries, entries.size + 1)
    t.same(stats.leftOut, [])
  },
)

t.test(
  'leaves attributes of symlinks out of version 1 trees',
  { skip: needsRoot },
  async t => {
    const folder = t.testdir({})
    symlinkSync('x', join(folder, 'link'))
    const link = Buffer.from(join(folder, 'link'))
    setXattr(link, Buffer.from('trusted.link'), Buffer.from('y'))
    linkSync(link, join(folder, 'other'))
    const { entries, application } = await storeInMemory(folder, { version1: true })
    t.same(entries.get('link')?.header.xattrs, [])
    t.equal(application.extension, undefined)
  },
)

t.test('names the attribute that no header can hold', { skip: needsRoot }, async t => {
  const folder = makeMemoryFolder()
  t.teardown(() => removeFolder(folder))
  const file = Buffer.from(join(folder, 'file'))
  writeFileSync(file, '')
  const key = Buffer.from('trusted.big')
  setXattr(file, key, Buffer.alloc(65_535, 1))
  t.equal((await storeInMemory(folder)).entries.get('file')?.header.xattrs.length, 1)
  setXattr(file, key, Buffer.alloc(65_536, 1))
  const error = await storeInMemory(folder).catch((caught: unknown) => caught)
  t.type(error, NotRepresentableError)
  t.match(error, {
    message: /file: extended attribute trusted\.big is too long.*found 65536/,
    facts: { path: join(folder, 'file'), attribute: 'trusted.big', found: 65_536 },
  })
})

t.test('records groups of hard links by walk order', async t => {
  const folder = t.testdir({ a: { one: 'linked' }, b: {}, c: { two: 'other' }, d: 'x' })
  linkSync(join(folder, 'a/one'), join(folder, 'b/again'))
  linkSync(join(folder, 'a/one'), join(folder, 'last'))
  linkSync(join(folder, 'c/two'), join(folder, 'c/three'))
  // A name outside of the tree makes no group.
  linkSync(join(folder, 'd'), join(t.testdirName, '../outside'))
  t.teardown(() => removeFolder(join(t.testdirName, '../outside')))
  const { application, entries, stats } = await storeInMemory(folder)
  const ordinal = (path: string) => entries.get(path)?.ordinal
  t.same(application.extension?.hardLinks, [
    [ordinal('a/one'), ordinal('b/again'), ordinal('last')],
    [ordinal('c/three'), ordinal('c/two')],
  ])
  t.same([...entries.keys()].slice(0, 3), ['a', 'a/one', 'b'])
  t.equal(stats.bytes, 'linked'.length + 'other'.length + 'x'.length, 'each read once')
  t.equal(stats.files, 6)
})

t.test('records modification times to the nanosecond, before 1970 too', async t => {
  const folder = t.testdir({ inner: { file: 'x' } })
  symlinkSync('x', join(folder, 'link'))
  utimesSync(join(folder, 'inner/file'), 5_000_000_000.25, 5_000_000_000.25)
  utimesSync(join(folder, 'inner'), new Date(-1500), new Date(-1500))
  lutimesSync(join(folder, 'link'), 0, 0)
  utimesSync(folder, 1, 1)
  const { application } = await storeInMemory(folder, { mtimes: true })
  const { modificationTimes } = application.extension ?? {}
  const decoder = new ModificationTimesDecoder(modificationTimes ?? Buffer.alloc(0))
  t.same(decoder.next(), { seconds: 1n, nanoseconds: 0 }, 'root')
  t.same(decoder.next(), { seconds: -2n, nanoseconds: 500_000_000 }, 'inner')
  t.same(decoder.next(), { seconds: 5_000_000_000n, nanoseconds: 250_000_000 }, 'file')
  t.same(decoder.next(), { seconds: 0n, nanoseconds: 0 }, 'link')
  decoder.end()
})

t.test('records what is said of the tree', async t => {
  const folder = t.testdir({ file: 'x' })
  const config = { command: ['/file'], labels: { release: '1' } }
  const { application } = await storeInMemory(folder, { config, created: 1700000000n })
  t.same(application.extension, { config, created: 1700000000n })
})

t.test('walks paths longer than PATH_MAX', async t => {
  const folder = makeDeepFolder()
  t.teardown(() => removeDeepFolder(folder))
  makeDeepTree(folder, { levels: 150, name: 'd'.repeat(100) })
  const { store, entries } = await storeInMemory(folder)
  t.equal(entries.size, 151)
  const bottom = [...entries].at(-1)
  t.ok((bottom?.[0].length ?? 0) > 15_000)
  t.equal(String(await readContent(store, bottom?.[1].entry)), 'reached')
})

t.test('stores a folder of 20,000 entries', async t => {
  const folder = t.testdir({})
  for (let index = 0; index < 19_000; index++) {
    writeFileSync(join(folder, `file ${index}`), String(index % 1000))
  }
  for (let index = 0; index < 1000; index++) mkdirSync(join(folder, `folder ${index}`))
  const { store, entries, stats } = await storeInMemory(folder)
  t.equal(stats.entries, 20_001)
  const { entry } = entries.get('file 18999') ?? {}
  t.equal(String(await readContent(store, entry)), '999')
})

t.test('stores large files chunk by chunk, of any length', async t => {
  const folder = t.testdir({})
  const mebibyte = 1024 * 1024
  const lengths = [512 * 1024, 512 * 1024 + 1, mebibyte, 2 * mebibyte, 2 * mebibyte + 3]
  for (const length of lengths) {
    const bytes = Buffer.alloc(length, `${length} bytes of this; `)
    writeFileSync(join(folder, String(length)), bytes)
  }
  const seen: number[] = []
  const { store, entries } = await storeInMemory(folder, {
    onProgress: ({ bytes }) => void seen.push(bytes),
  })
  for (const length of lengths) {
    const content = await readContent(store, entries.get(String(length))?.entry)
    t.ok(content.equals(readFileSync(join(folder, String(length)))), `${length} bytes`)
  }
  t.same(
    seen,
    seen.toSorted((one, other) => one - other),
    'progress never goes back',
  )
})
