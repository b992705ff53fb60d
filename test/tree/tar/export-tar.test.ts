import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { extract } from 'tar'
import {
  CorruptObjectError,
  InvalidObjectError,
  NotRepresentableError,
} from '../../../lib/errors.js'
import { findAlgorithmByName } from '../../../lib/object/algorithm.js'
import type { Digest } from '../../../lib/object/digest.js'
import { MemoryStore } from '../../../lib/store/memory-store.js'
import type { ObjectReader } from '../../../lib/store/object-store.js'
import { setModificationTime } from '../../../lib/system/file-times.js'
import { storeApplication } from '../../../lib/tree/source/store-application.js'
import { exportTar, type TarExportOptions } from '../../../lib/tree/tar/export-tar.js'
import { sameTrees } from '../../support/compare-trees.js'
import { deepFolder } from '../../support/deep-folder.js'
import { isRoot, makeHardTree } from '../../support/hard-tree.js'
import { importBytes } from '../../support/imported-archive.js'
import { TreeBuilder } from '../../support/tree-builder.js'

const skip = isRoot ? false : 'needs root to make devices and foreign owners'

t.test('writes what GNU tar and bsdtar extract to the same tree', { skip }, async t => {
  const folder = deepFolder(t)
  const { source, bytes } = await exportHardTree(folder)
  const all = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', '-', '-C']
  for (const locale of ['C', 'C.UTF-8']) {
    const gnu = join(folder, `gnu-${locale}`)
    mkdirSync(gnu)
    run('tar', [...all, gnu], bytes, locale)
    await sameTrees(t, source, gnu)
    const bsd = join(folder, `bsd-${locale}`)
    mkdirSync(bsd)
    if (!isInstalled('bsdtar')) continue
    // -P: it takes a leading backslash for the start of an absolute path.
    run('bsdtar', ['--numeric-owner', '-xpPf', '-', '-C', bsd], bytes, locale)
    // It gives the folder that it extracts into no time, not with its own archives either.
    setModificationTime(Buffer.from(bsd), 1_500_000_000n, 7)
    await sameTrees(t, source, bsd)
  }
})

t.test(
  'writes what node-tar extracts, but for what it does not know',
  { skip },
  async t => {
    const folder = t.testdir()
    const source = join(folder, 'source')
    mkdirSync(source)
    execFileSync('sh', ['-c', portableTree], { cwd: source })
    const { store, digest } = await stored(source)
    const { bytes } = await exported(store, digest)
    const archive = join(folder, 'archive.tar')
    writeFileSync(archive, bytes)
    const out = join(folder, 'out')
    mkdirSync(out)
    await extract({
      file: archive,
      cwd: out,
      preserveOwner: true,
      preservePaths: false,
      strict: true,
      chmod: true,
      processUmask: 0,
    })
    await sameTrees(t, source, out, { ignore: ['xattrs', 'modification-time'] })
  },
)

t.test('gives back what was imported, byte for byte', { skip }, async t => {
  const { bytes, digest } = await exportHardTree(deepFolder(t))
  const imported = await importBytes(bytes)
  t.equal(imported.descriptor.digest, digest)
  const { bytes: again } = await exported(imported.store, imported.descriptor.digest)
  t.ok(again.equals(bytes))
})

t.test('reports sockets and leaves them out', async t => {
  const builder = new TreeBuilder()
  const tree = builder.tree([builder.special('s', 'socket'), builder.file('f', 'x')])
  const { report, names } = await exported(builder.store, tree.digest)
  t.same(report.leftOut, [{ kind: 'socket', count: 1, paths: [Buffer.from('s')] }])
  t.same(names, ['./', 'f'])
  t.equal(report.entries, 2)
})

t.test('writes a part of a tree by names that start there', async t => {
  const builder = new TreeBuilder()
  const a = builder.file('a', 'same')
  const inner = builder.folder('inner', [a, builder.file('b', 'same')])
  const outer = builder.folder('outer', [inner, builder.file('c', 'same')])
  // Walk order: root, outer, inner, a, b, c.
  const tree = builder.tree([outer], { hardLinks: [[3, 4, 5]] })
  const part = async (path: string) =>
    exported(builder.store, tree.digest, {}, Buffer.from(path))
  t.same((await part('')).names, [
    './',
    'outer/',
    'outer/inner/',
    'outer/inner/a',
    'outer/inner/b',
    'outer/c',
  ])
  t.same((await part('outer/inner')).names, ['./', 'a', 'b'])
  t.same((await part('outer/inner/b')).names, ['b'])
  t.equal((await part('outer/inner')).report.files, 1, 'b is a name of a')
  t.equal((await part('outer/inner/b')).report.files, 1, 'b is a file of its own')
})

t.test('writes one time for all where none are stored, or when told', async t => {
  const builder = new TreeBuilder()
  const tree = builder.tree([builder.file('f', 'x')])
  const times = async (options: TarExportOptions): Promise<string> => {
    const { bytes } = await exported(builder.store, tree.digest, options)
    return run('tar', ['--utc', '--full-time', '-tvf', '-'], bytes, 'C').toString()
  }
  t.equal((await times({})).match(/1970-01-01 00:00:00/g)?.length, 2)
  t.equal((await times({ touchSeconds: 1n })).match(/1970-01-01 00:00:01/g)?.length, 2)
})

t.test('refuses what no archive can hold before the first byte', async t => {
  const builder = new TreeBuilder()
  let written = 0
  const attempt = async (digest: Digest): Promise<unknown> =>
    exportTar(builder.store, { application: digest }, async bytes => {
      written += bytes.length
    })
  const owner = builder.tree([builder.file('f', 'x', { uid: 0xffff_ffff })])
  await t.rejects(attempt(owner.digest), InvalidObjectError)
  t.equal(written, 0)
  let deep = builder.folder('d'.repeat(255), [])
  for (let level = 0; level < 260; level++) deep = builder.folder('d'.repeat(255), [deep])
  await t.rejects(attempt(builder.tree([deep]).digest), NotRepresentableError)
})

t.test('cuts the archive off where a content is damaged', async t => {
  const builder = new TreeBuilder()
  const file = builder.file('f', Buffer.alloc(600_000, 'x'))
  const tree = builder.tree([file])
  const reader: ObjectReader = {
    has: digests => builder.store.has(digests),
    stat: digests => builder.store.stat(digests),
    read: digests => builder.store.read(digests),
    open: async digest => {
      throw new CorruptObjectError(`object ${digest} is damaged`, { digest })
    },
  }
  await t.rejects(exported(reader, tree.digest), {
    constructor: CorruptObjectError,
    message: /^f: object/,
  })
})

const portableTree = [
  'mkdir -p a/b',
  'echo x > a/b/file',
  'ln a/b/file a/hard',
  'ln -s b/file a/soft',
  'chmod 4750 a/b/file',
  // node-tar takes the umask off the modes of folders.
  'mkdir a/sticky && chmod 1755 a/sticky',
  `mkdir -p ${'long-name-of-a-folder/'.repeat(12)}`,
  `echo deep > ${'long-name-of-a-folder/'.repeat(12)}file`,
  'echo u > umläut-ß',
  'chown 12345:54321 a/b',
  'head -c 600000 /dev/zero > large',
].join('\n')

async function exportHardTree(folder: string) {
  const source = join(folder, 'source')
  makeHardTree(source)
  execFileSync('rm', ['-rf', join(source, 'socket')])
  // What no program but ours can extract: longer than PATH_MAX.
  execFileSync('rm', ['-rf', join(source, 'd'.repeat(250))])
  // bsdtar reads -5.000000001 s as -5 s and 1 ns.
  setModificationTime(Buffer.from(join(source, 'link')), -5n, 0)
  setModificationTime(Buffer.from(source), 1_500_000_000n, 7)
  const { store, digest } = await stored(source)
  return { source, digest, ...(await exported(store, digest)) }
}

async function stored(source: string): Promise<{ store: MemoryStore; digest: Digest }> {
  const algorithm = findAlgorithmByName('blake3')
  if (algorithm === undefined) throw new Error('no blake3')
  const store = new MemoryStore()
  await using session = await store.begin({ algorithm, folder: '', publishing: 'whole' })
  const { descriptor } = await storeApplication(source, session, { mtimes: true })
  await session.publish([descriptor.digest])
  return { store, digest: descriptor.digest }
}

async function exported(
  reader: ObjectReader,
  application: Digest,
  options: TarExportOptions = {},
  path?: Buffer,
) {
  const chunks: Buffer[] = []
  const write = async (bytes: Uint8Array): Promise<void> => {
    chunks.push(Buffer.from(bytes))
  }
  const report = await exportTar(reader, { application, path }, write, options)
  const bytes = Buffer.concat(chunks)
  const names = run('tar', ['-tf', '-'], bytes, 'C').toString().trimEnd().split('\n')
  return { bytes, report, names }
}

function run(
  program: string,
  args: readonly string[],
  input: Buffer,
  locale: string,
): Buffer {
  const options = { input, env: { ...process.env, LC_ALL: locale }, maxBuffer: 2 ** 30 }
  const { status, stdout, stderr } = spawnSync(program, args, options)
  if (status !== 0) throw new Error(`${program}: ${stderr.toString()}`)
  return stdout
}

function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version']).error === undefined
}
