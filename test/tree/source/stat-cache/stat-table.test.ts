import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { env } from 'node:process'
import t, { type Test } from 'tap'
import { algorithms } from '../../../../lib/object/algorithm.js'
import { type Digest, parseDigest } from '../../../../lib/object/digest.js'
import { findSteadyFilesystem } from '../../../../lib/system/filesystem-id.js'
import { hasNativeCalls } from '../../../../lib/system/libc.js'
import { StatCache } from '../../../../lib/tree/source/stat-cache/stat-cache.js'
import { makeMemoryFolder, removeFolder } from '../../../support/source-folder.js'

const skip = hasNativeCalls() ? false : 'needs native calls'
const device = 1
const blake3 = algorithms[10]
if (blake3 === undefined) throw new Error('no algorithm')
const algorithm = blake3
const isLong = env['CAIRN_TEST_LONG'] === '1'

/** A cache that takes `device` for a good filesystem. */
function openCache(folder: string): StatCache {
  const temp = join(folder, 'temp')
  rmSync(temp, { recursive: true, force: true })
  mkdirSync(temp)
  const cache = new StatCache({ folder: join(folder, 'cache'), temp, algorithm })
  const fd = openSync('/dev/shm', 'r')
  cache.learn(device, fd)
  closeSync(fd)
  return cache
}

// Any digest will do, as long as it is the inode's own.
function digestOf(inode: number): Digest {
  return parseDigest(`0a${inode.toString(16).padStart(64, '0')}`)
}

// Inodes come in no order, as a walk meets them.
function inodeAt(index: number): number {
  return Math.imul(index, 0x9e3779b1) >>> 0
}

function setKey(cache: StatCache, inode: number, version = 0): void {
  cache.key.words.fill(0)
  cache.key.words[3] = inode
  cache.key.words[5] = version
}

function noteAll(cache: StatCache, from: number, to: number, version = 0): void {
  for (let index = from; index < to; index++) {
    const inode = inodeAt(index)
    setKey(cache, inode, version)
    const link = { digest: digestOf(inode), size: version }
    cache.note(device, { isBare: true }, { link })
    if (index % 1000 === 0) cache.settle()
  }
  cache.settle()
}

function save(folder: string, from: number, to: number, version = 0): void {
  using cache = openCache(folder)
  noteAll(cache, from, to, version)
  cache.save()
}

/** How many of the files are known; throws for one that is known wrongly. */
function countKnown(cache: StatCache, count: number, version = 0): number {
  let known = 0
  for (let index = 0; index < count; index++) {
    const inode = inodeAt(index)
    setKey(cache, inode, version)
    const found = cache.find(device)
    if (found === undefined) continue
    if (found.digest !== digestOf(inode)) throw new Error(`wrong digest for ${inode}`)
    known++
  }
  return known
}

function tableOf(folder: string): string {
  return join(folder, 'cache/stat-blake3')
}

function knownIn(folder: string, count: number, version = 0): number {
  using cache = openCache(folder)
  return countKnown(cache, count, version)
}

function makeFolder(t: Test): string {
  const folder = makeMemoryFolder()
  t.teardown(() => removeFolder(folder))
  return folder
}

t.test('finds each of more files than fit into memory at once', { skip }, t => {
  const folder = makeFolder(t)
  const count = 70_000
  save(folder, 0, count)
  t.equal(knownIn(folder, count), count)
  save(folder, 0, 1000, 1)
  t.equal(knownIn(folder, 2000, 1), 1000, 'the new state of some, and no other')
  t.equal(knownIn(folder, 2000), 1000, 'the old state of the others')
  t.end()
})

t.test('takes no wrong digest from a damaged table', { skip }, t => {
  const folder = makeFolder(t)
  const count = 1100
  save(folder, 0, count)
  const whole = readFileSync(tableOf(folder))
  const step = isLong ? 1 : 1999
  const places = new Set(Array.from({ length: 60 }, (_, at) => at))
  for (let at = 0; at < whole.length; at += step) places.add(at)
  for (let at = whole.length - 60; at < whole.length; at++) places.add(at)
  for (const at of places) {
    const damaged = Buffer.from(whole)
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8))
    writeFileSync(tableOf(folder), damaged)
    const known = knownIn(folder, count)
    if (known === count) t.fail(`the damage at ${at} is not seen`)
  }
  for (let length = 0; length < whole.length; length += 5003) {
    writeFileSync(tableOf(folder), whole.subarray(0, length))
    t.equal(knownIn(folder, count), 0, `cut to ${length} bytes`)
  }
  save(folder, 0, 10)
  t.equal(knownIn(folder, count), 10, 'it is written anew')
  t.end()
})

t.test('replaces a link and another file in the place of the table', { skip }, t => {
  const folder = makeFolder(t)
  mkdirSync(join(folder, 'cache'))
  symlinkSync('/etc/passwd', tableOf(folder))
  t.equal(knownIn(folder, 10), 0)
  save(folder, 0, 10)
  t.equal(knownIn(folder, 10), 10)
  writeFileSync(tableOf(folder), 'something else')
  t.equal(knownIn(folder, 10), 0)
  t.end()
})

t.test('adds to what another has saved meanwhile', { skip }, t => {
  const folder = makeFolder(t)
  save(folder, 0, 10)
  {
    using one = openCache(folder)
    save(folder, 10, 20)
    noteAll(one, 20, 30)
    t.equal(countKnown(one, 30), 10)
    mkdirSync(join(folder, 'temp'), { recursive: true })
    one.save()
  }
  t.equal(knownIn(folder, 30), 30)
  t.end()
})

t.test('knows which filesystems have inode numbers that stay', { skip }, t => {
  const shared = openSync('/dev/shm', 'r')
  const processes = openSync('/proc', 'r')
  t.ok(findSteadyFilesystem(shared))
  t.equal(findSteadyFilesystem(processes), undefined)
  closeSync(shared)
  closeSync(processes)
  t.end()
})
