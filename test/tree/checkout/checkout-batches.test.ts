import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CorruptObjectError, StorageFullError } from '../../../lib/errors.js'
import type { Digest } from '../../../lib/object/digest.js'
import type { Repository } from '../../../lib/repository/repository.js'
import { setXattr } from '../../../lib/system/xattr.js'
import { checkout } from '../../../lib/tree/checkout/checkout.js'
import { storeApplication } from '../../../lib/tree/source/store-application.js'
import { sameTrees } from '../../support/compare-trees.js'
import { deepFolder } from '../../support/deep-folder.js'
import { isRoot } from '../../support/hard-tree.js'
import { makePackedRepository } from '../../support/packed-repository.js'

const skip = isRoot ? false : 'needs root to mount'

/** Small files in many folders, and some of everything that files can have. */
function makeSource(source: string): void {
  for (let folder = 0; folder < 80; folder++) {
    const place = join(source, `d${folder % 7}`, `e${folder}`)
    mkdirSync(place, { recursive: true })
    for (let at = 0; at < 1 + (folder % 7); at++) {
      const file = join(place, `f${at}`)
      writeFileSync(file, `${folder} ${at}\n`.repeat((folder * at) % 900))
      utimesSync(file, 1, 1_000_000_000 + folder + at / 8)
    }
    utimesSync(place, 1, 1_000_000 + folder)
  }
  writeFileSync(join(source, 'empty'), '')
  writeFileSync(join(source, 'private'), 'x', { mode: 0o600 })
  writeFileSync(join(source, 'program'), 'x', { mode: 0o4755 })
  writeFileSync(join(source, 'large'), Buffer.alloc(3_000_001, 'abcdefg'))
  writeFileSync(join(source, 'zeros-end'), Buffer.alloc(400_000))
  truncateSync(join(source, 'zeros-end'), 9_000_000)
  writeFileSync(join(source, 'noted'), 'x', { mode: 0o444 })
  if (isRoot) {
    const note = Buffer.from('trusted.note')
    setXattr(Buffer.from(join(source, 'noted')), note, Buffer.from('1'))
  }
  linkSync(join(source, 'large'), join(source, 'd1', 'again'))
  symlinkSync('large', join(source, 'link'))
  utimesSync(source, 1, 7)
}

async function storeIn(
  repository: Repository,
  source: string,
): Promise<{ application: Digest }> {
  await using session = await repository.begin({
    purpose: 'store',
    publishing: 'gradual',
  })
  const options = { mtimes: true }
  const { descriptor } = await storeApplication(source, session.objects, options)
  await session.objects.publish([descriptor.digest])
  return { application: descriptor.digest }
}

async function storedSource(
  t: Test,
  compression: 'none' | 'zstd:3' = 'none',
): Promise<{
  folder: string
  source: string
  repository: Repository
  root: { application: Digest }
}> {
  const folder = deepFolder(t, 'memory')
  const source = join(folder, 'source')
  makeSource(source)
  const repository = await makePackedRepository(folder, compression)
  t.teardown(() => repository[Symbol.dispose]())
  return { folder, source, repository, root: await storeIn(repository, source) }
}

// Changes one byte of what was stored.
function damagePack({ root }: Repository, content: string): void {
  for (const name of readdirSync(join(root, 'packs'))) {
    const path = join(root, 'packs', name)
    const at = readFileSync(path).indexOf(content)
    if (at === -1) continue
    const fd = openSync(path, 'r+')
    writeSync(fd, 'X', at)
    closeSync(fd)
    return
  }
  throw new Error(`no pack holds ${content}`)
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}

t.test('makes the same tree with threads and without', async t => {
  for (const compression of ['none', 'zstd:3'] as const) {
    const { folder, source, repository, root } = await storedSource(t, compression)
    for (const workers of [0, 2]) {
      const before = openFiles()
      const out = join(folder, `out-${workers}`)
      const report = await checkout(repository.objects, root, out, { workers })
      t.same(report.leftOut, [])
      t.equal(report.files, countFiles(source) - 1, 'a second name is no file')
      await sameTrees(t, source, out)
      t.ok(statSync(join(out, 'zeros-end')).blocks < 1000, 'holes are kept')
      t.ok(openFiles() <= before + 1, 'no folder stays open')
    }
  }
})

t.test('gives files their modes whatever the umask', async t => {
  const { folder, source, repository, root } = await storedSource(t)
  for (const umask of [0, 0o077, 0o777]) {
    const before = process.umask(umask)
    t.teardown(() => process.umask(before))
    for (const workers of [0, 1]) {
      const out = join(folder, `out-${umask}-${workers}`)
      await checkout(repository.objects, root, out, { workers })
      await sameTrees(t, source, out)
    }
    process.umask(before)
  }
})

t.test('copies a file that is too large for a batch, holes kept', async t => {
  const folder = deepFolder(t, 'memory')
  const source = join(folder, 'source')
  mkdirSync(source)
  const large = join(source, 'large')
  writeFileSync(large, Buffer.alloc(3_000_001, 'abcdefg'))
  truncateSync(large, 70_000_000)
  const fd = openSync(large, 'r+')
  writeSync(fd, Buffer.alloc(2_500_001, 'xyz'), 0, 2_500_001, 66_000_001)
  closeSync(fd)
  const repository = await makePackedRepository(folder)
  t.teardown(() => repository[Symbol.dispose]())
  const root = await storeIn(repository, source)
  const out = join(folder, 'out')
  await checkout(repository.objects, root, out)
  await sameTrees(t, source, out)
  t.ok(statSync(join(out, 'large')).blocks * 512 < 10_000_000, 'holes are kept')
})

t.test('names the file whose payload is wrong, and leaves nothing', async t => {
  const { folder, repository, root } = await storedSource(t)
  damagePack(repository, '69 5\n69 5\n69 5\n')
  for (const workers of [0, 1]) {
    const error = await checkout(repository.objects, root, join(folder, 'out'), {
      workers,
    }).catch((reason: unknown) => reason)
    t.type(error, CorruptObjectError)
    t.match(error, { facts: { path: 'd6/e69/f5' } })
    t.same(readdirSync(folder).toSorted(), ['repository', 'source'])
  }
})

t.test('leaves nothing behind when it is stopped between batches', async t => {
  const { folder, repository, root } = await storedSource(t)
  const before = openFiles()
  for (const workers of [0, 1]) {
    const controller = new AbortController()
    await t.rejects(
      checkout(repository.objects, root, join(folder, 'out'), {
        workers,
        signal: controller.signal,
        onProgress: () => controller.abort(),
      }),
      { name: 'AbortError' },
    )
    t.same(readdirSync(folder).toSorted(), ['repository', 'source'])
  }
  t.ok(openFiles() <= before + 1, 'no folder stays open')
})

t.test('merges folders that were not there with threads, too', async t => {
  const { folder, source, repository, root } = await storedSource(t)
  const out = join(folder, 'out')
  mkdirSync(join(out, 'd3'), { recursive: true })
  mkdirSync(join(out, 'd4/e4/f1'), { recursive: true })
  await checkout(repository.objects, root, out, { force: true, workers: 1 })
  await sameTrees(t, source, out)
})

t.test('says that a disk is full while threads write', { skip }, async t => {
  const { folder, repository, root } = await storedSource(t)
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  const options = ['-t', 'tmpfs', '-o', 'size=1m', 'none', disk]
  if (spawnSync('mount', options).status !== 0) {
    t.comment('cannot mount here')
    return
  }
  try {
    for (const workers of [0, 1]) {
      await t.rejects(
        checkout(repository.objects, root, join(disk, 'out'), {
          workers,
          checkSpace: false,
        }),
        StorageFullError,
      )
      t.same(readdirSync(disk), [])
    }
  } finally {
    spawnSync('umount', [disk])
  }
})

t.test('shares large files with the store where the disk can', { skip }, async t => {
  const folder = t.testdir({ disk: {} })
  const disk = join(folder, 'disk')
  const image = join(folder, 'image')
  writeFileSync(image, '')
  truncateSync(image, 400 * 1024 * 1024)
  const made = spawnSync('mkfs.xfs', ['-q', '-m', 'reflink=1', image])
  if (made.status !== 0 || spawnSync('mount', ['-o', 'loop', image, disk]).status !== 0) {
    t.comment('no filesystem here that shares extents')
    return
  }
  try {
    const source = join(disk, 'source')
    mkdirSync(source)
    const size = 8 * 1024 * 1024 + 5
    writeFileSync(join(source, 'large'), Buffer.alloc(size, 'abcdefg'))
    utimesSync(join(source, 'large'), 1, 1)
    utimesSync(source, 1, 1)
    using repository = await makePackedRepository(disk)
    const root = await storeIn(repository, source)
    spawnSync('sync', ['-f', disk])
    const free = () => Number(spawnSync('stat', ['-f', '-c', '%f', disk]).stdout) * 4096
    for (const verifyClones of [true, false]) {
      const before = free()
      const out = join(disk, `out-${verifyClones}`)
      await checkout(repository.objects, root, out, { verifyClones })
      await sameTrees(t, source, out)
      spawnSync('sync', ['-f', disk])
      t.ok(before - free() < size / 2, 'its extents are shared')
    }
    damagePack(repository, 'abcdefgabcdefg')
    const out = join(disk, 'bad')
    await t.rejects(checkout(repository.objects, root, out), CorruptObjectError)
    t.notOk(existsSync(out))
  } finally {
    spawnSync('umount', [disk])
  }
})

function countFiles(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry =>
    entry.isFile(),
  ).length
}
