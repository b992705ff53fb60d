import { spawnSync } from 'node:child_process'
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Digest } from '../../lib/object/digest.js'
import { MemoryStore } from '../../lib/store/memory-store.js'
import { checkout } from '../../lib/tree/checkout/checkout.js'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import type { StoreOptions } from '../../lib/tree/source/store-options.js'
import { sameTrees } from '../support/compare-trees.js'
import { deepFolder } from '../support/deep-folder.js'
import { findOutput, isRoot, makeHardTree } from '../support/hard-tree.js'
import { algorithmNamed } from '../support/tree-builder.js'

const skip = isRoot ? false : 'needs root to make devices and foreign owners'

async function stored(
  source: string,
  options: StoreOptions,
): Promise<{ store: MemoryStore; digest: Digest }> {
  const store = new MemoryStore()
  const algorithm = algorithmNamed('blake3')
  const session = await store.begin({ algorithm, folder: '/', publishing: 'gradual' })
  const { descriptor } = await storeApplication(source, session, options)
  await session.publish([descriptor.digest])
  await session[Symbol.asyncDispose]()
  return { store, digest: descriptor.digest }
}

function hardTree(t: Test): { source: string; out: string } {
  const folder = deepFolder(t)
  const source = join(folder, 'source')
  makeHardTree(source)
  return { source, out: join(folder, 'out') }
}

function mayMount(folder: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', 'none', folder]).status === 0
}

t.test('gives back everything that was stored, times included', { skip }, async t => {
  const { source, out } = hardTree(t)
  const { store, digest } = await stored(source, { mtimes: true })
  const report = await checkout(store, { application: digest }, out, { fsync: true })
  t.same(report.leftOut, [])
  await sameTrees(t, source, out)

  // rsync does not go below PATH_MAX.
  const exclude = '--exclude=/dddd*'
  const args = ['-aHAXn', '--checksum', '--delete', '--itemize-changes', exclude]
  const listed = findOutput('rsync', [...args, `${source}/`, `${out}/`])
  if (listed === undefined) t.comment('no rsync here')
  else t.equal(listed, '')

  const again = await stored(out, { mtimes: true })
  t.equal(again.digest, digest, 'the checkout has the digest of its source')
})

t.test('makes sparse files sparse again', { skip }, async t => {
  const { source, out } = hardTree(t)
  const { store, digest } = await stored(source, {})
  await checkout(store, { application: digest }, out)
  const { size, blocks } = statSync(join(out, 'sparse'))
  t.equal(size, 64 * 1024 * 1024 + 5)
  t.ok(blocks * 512 < 1024 * 1024, `${blocks} blocks`)
})

t.test('fills a mount point in place', { skip }, async t => {
  const { source, out } = hardTree(t)
  const { store, digest } = await stored(source, { mtimes: true })
  mkdirSync(out)
  if (!mayMount(out)) {
    t.comment('cannot mount here')
    return
  }
  try {
    const report = await checkout(store, { application: digest }, out)
    t.same(report.leftOut, [])
    await sameTrees(t, source, out)
  } finally {
    findOutput('umount', [out])
  }
})

t.test('a merge twice over gives the same tree', { skip }, async t => {
  const { source, out } = hardTree(t)
  const { store, digest } = await stored(source, { mtimes: true })
  await checkout(store, { application: digest }, out)
  for (let run = 0; run < 2; run++) {
    const report = await checkout(store, { application: digest }, out, { force: true })
    t.same(report.leftOut, [])
    await sameTrees(t, source, out)
  }
})

t.test(
  'leaves the present time without recorded ones, or sets one',
  { skip },
  async t => {
    const { source, out } = hardTree(t)
    const { store, digest } = await stored(source, {})
    await checkout(store, { application: digest }, out, { touchSeconds: 1_000_000_000n })
    await sameTrees(t, source, out, { ignore: ['modification-time'] })
    t.equal(statSync(join(out, 'plain')).mtimeMs, 1e12)
    t.equal(statSync(out).mtimeMs, 1e12)
  },
)
