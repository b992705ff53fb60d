import { linkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ModificationTimesEncoder } from '../../../lib/object/modification-times.js'
import { isErrno } from '../../../lib/system/errno.js'
import { checkout } from '../../../lib/tree/checkout/checkout.js'
import { deepFolder } from '../../support/deep-folder.js'
import { TreeBuilder } from '../../support/tree-builder.js'

t.test('a group that a path cuts keeps the names inside it', async t => {
  const builder = new TreeBuilder()
  const f = (name: string) => builder.file(name, 'same')
  const encoder = new ModificationTimesEncoder()
  for (let at = 0; at < 8; at++) encoder.add({ seconds: BigInt(at), nanoseconds: 0 })
  // Ordinals: root 0, a 1, a/1 2, b 3, b/1 4, b/2 5, b/3 6, z 7.
  const { digest } = builder.tree(
    [
      builder.folder('a', [f('1')]),
      builder.folder('b', [f('1'), f('2'), f('3')]),
      f('z'),
    ],
    { hardLinks: [[2, 4, 6, 7]], modificationTimes: encoder.finish() },
  )
  const base = t.testdir({})
  const all = join(base, 'all')
  await checkout(builder.store, { application: digest }, all)
  t.equal(statSync(join(all, 'a/1')).nlink, 4)
  t.equal(statSync(join(all, 'z')).ino, statSync(join(all, 'b/3')).ino)
  t.equal(statSync(join(all, 'b/2')).nlink, 1)

  const part = join(base, 'part')
  const report = await checkout(
    builder.store,
    { application: digest, path: Buffer.from('b') },
    part,
  )
  t.same(report.files, 2)
  t.equal(statSync(join(part, '1')).ino, statSync(join(part, '3')).ino)
  t.equal(statSync(join(part, '1')).nlink, 2)
  t.equal(statSync(join(part, '2')).mtimeMs, 5000)
  t.equal(statSync(part).mtimeMs, 3000)
})

t.test('a file with more names than it can have is made again', async t => {
  const folder = deepFolder(t)
  const probe = join(folder, 'probe')
  writeFileSync(probe, '')
  const limit = findLinkLimit(probe)
  if (limit === undefined) {
    t.comment('files here have no limit of names')
    return
  }
  const builder = new TreeBuilder()
  const names = limit + 10
  const file = builder.file('', 'same')
  const entries = Array.from({ length: names }, (_, at) => ({
    ...file,
    name: Buffer.from(String(at).padStart(6, '0')),
  }))
  const group = entries.map((_, at) => at + 1)
  const { digest } = builder.tree(entries, { hardLinks: [group] })
  const out = join(folder, 'out')
  const report = await checkout(builder.store, { application: digest }, out)
  t.match(report.leftOut, [{ kind: 'hard-link', count: 1 }])
  t.equal(report.files, 2)
  t.equal(report.entries, names + 1)
})

function findLinkLimit(probe: string): number | undefined {
  for (let links = 1; links < 70_000; links++) {
    try {
      linkSync(probe, `${probe}-${links}`)
    } catch (error) {
      if (isErrno(error, 'EMLINK')) return links
      throw error
    }
  }
  return undefined
}
