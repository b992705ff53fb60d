import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { StorageFullError } from '../../../lib/errors.js'
import { checkout } from '../../../lib/tree/checkout/checkout.js'
import { isRoot } from '../../support/hard-tree.js'
import { TreeBuilder } from '../../support/tree-builder.js'

const skip = isRoot ? false : 'needs root to mount'

t.test('says that a disk is too small, before or while it writes', { skip }, async t => {
  const builder = new TreeBuilder()
  const content = Buffer.alloc(3_000_000, 1)
  const big = builder.tree([builder.folder('d', [builder.file('f', content)])])
  const shared = builder.tree(
    Array.from({ length: 9 }, (_, at) =>
      builder.file(`f${at}`, Buffer.alloc(300_000, 1)),
    ),
    { hardLinks: [[1, 2, 3, 4, 5, 6, 7, 8, 9]] },
  )
  const many = builder.tree(
    Array.from({ length: 300 }, (_, at) => builder.file(`f${at}`, '')),
  )
  const disk = join(t.testdir({}), 'disk')
  mkdirSync(disk)
  const options = 'size=1m,nr_inodes=200'
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'none', disk]).status !== 0) {
    t.comment('cannot mount here')
    return
  }
  try {
    for (const [application, checkSpace] of [
      [big.digest, true],
      [big.digest, false],
      [many.digest, true],
      [many.digest, false],
    ] as const) {
      const out = join(disk, 'out')
      const root = { application }
      await t.rejects(
        checkout(builder.store, root, out, { checkSpace }),
        StorageFullError,
        `${application} ${checkSpace}`,
      )
      t.same(readdirSync(disk), [])
    }
    const out = join(disk, 'out')
    await checkout(builder.store, { application: shared.digest }, out)
    t.equal(readdirSync(out).length, 9)
  } finally {
    spawnSync('umount', [disk])
  }
})
