import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isLong, pick, seed } from '../support/campaign.js'
import { changesBelow, type FileChange } from '../support/traced-files.js'
import { needsStrace, runTraced, type TracedRun } from '../support/traced-run.js'
import {
  assertNoSpaceLost,
  assertRepeatable,
  assertWhole,
  copyRepository,
  type Rehearsal,
  rehearse,
} from './aftermath.js'
import { victims } from './victims.js'

// Fails one of the system calls by which each command changes its repository.

const rounds = isLong ? 40 : 1

const outOfSpace = 8

// Standard output and standard error.
const outputs = 2

t.setTimeout(rounds * victims.length * 20_000)
t.comment(`seed ${seed}, ${rounds} rounds each`)

for (const victim of victims) {
  t.test(`survives failing calls of ${victim.name}`, { skip: needsStrace }, async t => {
    const folder = t.testdir()
    await using rehearsal = await rehearse(victim, folder)
    const points = changesBelow(rehearsal.root, rehearsal.run.calls)
    let hits = 0
    // Where threads take turns differently, another call than the chosen one may fail.
    for (let round = 0; hits < rounds && round < 5 * rounds; round++) {
      const effect = pick(['EIO', 'ENOSPC'] as const)
      const point = choosePoint(points, rehearsal.root)
      hits += await failOnce(t, folder, rehearsal, { ...point, effect })
    }
    t.equal(hits, rounds, 'failures hit the repository')
  })
}

type Point = { readonly name: string; readonly nth: number; readonly place?: string }

function choosePoint(points: readonly FileChange[], root: string): Point {
  const { call, path } = pick(points)
  const { name, thread, ordinal } = call
  const place = path.slice(root.length)
  // Node and koffi write to pipes and sync them, and go wrong where that fails.
  const isShared = name === 'write' || name === 'fsync'
  if (!isShared) return { name, nth: ordinal }
  const hasRandomName = /[0-9a-f]{16}/.test(place)
  if (hasRandomName) {
    const isAlone = name === 'fsync' && ordinal > outputs
    return isAlone ? { name, nth: ordinal } : choosePoint(points, root)
  }
  const alike = points.filter(
    point =>
      point.call.name === name && point.call.thread === thread && point.path === path,
  )
  return { name, nth: alike.findIndex(point => point.call === call) + 1, place }
}

/** Tells how many calls of the repository failed: none where threads took other turns. */
async function failOnce(
  t: Test,
  folder: string,
  rehearsal: Rehearsal,
  { place, ...injected }: Point & { effect: 'EIO' | 'ENOSPC' },
): Promise<number> {
  const round = join(folder, 'round')
  mkdirSync(round)
  const root = join(round, 'repository')
  copyRepository(rehearsal.base, root)
  const inject = { ...injected, ...(place !== undefined && { path: `${root}${place}` }) }
  const run = await runTraced([...rehearsal.args, '--repo', root], { inject })
  const changes = changesBelow(root, run.calls)
  const failed = changes.find(({ call }) => call.injected)
  if (failed !== undefined) {
    const { effect } = inject
    const path = failed.path.slice(root.length)
    const where = `${rehearsal.victim.name}, ${effect} from ${inject.name} ${inject.nth} of ${path}`
    t.notOk(run.hung, `${where}: ends`)
    const tags = await assertWhole(t, root, rehearsal, where)
    if (run.code === 0) t.strictSame(tags, rehearsal.after, `${where}: did all of it`)
    else assertExplained(t, run, inject, where)
    assertNotSyncedAgain(t, changes, failed, where)
    await assertRepeatable(t, root, rehearsal, where)
    await assertNoSpaceLost(t, root, rehearsal, where)
  }
  rmSync(round, { recursive: true })
  return failed === undefined ? 0 : 1
}

function assertExplained(
  t: Test,
  { code, stderr }: TracedRun,
  { name, effect }: { name: string; effect: 'EIO' | 'ENOSPC' },
  where: string,
): void {
  // At its end Node syncs the pipes that it wrote to; that may be the nth call, too.
  const said = stderr.split('\n').filter(line => !/^(Error: Failed to sync|$)/.test(line))
  const last = said.at(-1) ?? ''
  t.match(last, /^cairn: \S/, `${where}: says what failed`)
  t.notMatch(said, /unexpected|^\s+at /, `${where}: knows what failed`)
  if (effect === 'ENOSPC') t.equal(code, outOfSpace, `${where}: ${last}`)
  // For EIO Node's own recursive mkdir tells what it sees afterwards.
  else if (name !== 'mkdir') t.match(last, /EIO|i\/o error/, `${where}: names the error`)
}

const isSync = ({ call }: FileChange): boolean => /^f(data)?sync$/.test(call.name)

/** A second fsync of a file may succeed although what was written is lost. */
function assertNotSyncedAgain(
  t: Test,
  changes: readonly FileChange[],
  failed: FileChange,
  where: string,
): void {
  if (!isSync(failed) || !/\.pack$|\/logs\/|\/temp\//.test(failed.path)) return
  const later = changes.slice(changes.indexOf(failed) + 1)
  const again = later.filter(change => isSync(change) && change.path === failed.path)
  const madeAnew = later.some(
    ({ call, path }) => call.name === 'openat' && path === failed.path,
  )
  t.ok(again.length === 0 || madeAnew, `${where}: is not synced again`)
}
