import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openSnapshotter } from '../../lib/snapshot/open-snapshotter.js'
import { repairSnapshots } from '../../lib/snapshot/repair-snapshots.js'
import { seededRandom } from '../support/seeded-random.js'
import { key, walkAll } from '../support/snapshots/subject.js'

const options = { driver: 'native', contentSync: 'none' } as const

t.test('keeps what it can of a damaged log, wherever the damage is', async t => {
  const root = join(t.testdir({}), 'root')
  {
    await using snapshotter = await openSnapshotter(root, options)
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const parent = key(name === 'a' ? '' : 'A')
      const [mount] = await snapshotter.prepare(key(name), { parent })
      writeFileSync(join(mount?.source ?? '', name), name)
      await snapshotter.commit(key(name.toUpperCase()), key(name))
      if (name === 'c') await snapshotter.remove(key('C'))
    }
    await snapshotter.cleanup()
  }
  const log = readFileSync(join(root, 'log'))
  const random = seededRandom(7)
  for (let round = 0; round < 40; round++) {
    const damaged = Buffer.from(log)
    const at = Math.floor(random() * (log.length - 100))
    damaged.fill(0xee, at, at + 20)
    writeFileSync(join(root, 'log'), damaged)
    await t.rejects(openSnapshotter(root), { code: 'invalid_snapshot_root' })
    const report = await repairSnapshots(root)
    t.same(readFileSync(report.damaged), damaged)
    {
      await using snapshotter = await openSnapshotter(root, options)
      const found = await walkAll(snapshotter)
      t.equal(found.length, report.kept)
      t.same(snapshotter.recovery, { orphans: 0, restored: [], missing: [] })
      t.equal(report.kept + report.lost.length, 5, `damage at ${at}`)
      for (const { name, kind } of found) {
        if (kind !== 'committed') continue
        const [view] = await snapshotter.view(key('view'), { parent: name })
        t.ok(existsSync(join(view?.source ?? '', name.toLowerCase())))
        await snapshotter.remove(key('view'))
      }
    }
    putBack(root, report.lost)
  }
  t.equal(readdirSync(root).filter(name => name.startsWith('log.damaged')).length, 40)
})

// For the next round.
function putBack(root: string, lost: readonly string[]): void {
  for (const path of lost) {
    const id = /([0-9]+)-[0-9]+$/.exec(path)?.[1] ?? ''
    renameSync(path, join(root, 's', id))
  }
}
