import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isLong, pick, seed } from '../support/campaign.js'
import { changesBelow } from '../support/traced-files.js'
import { needsStrace, runTraced } from '../support/traced-run.js'
import {
  assertNoSpaceLost,
  assertRepeatable,
  assertWhole,
  copyRepository,
  type Rehearsal,
  rehearse,
} from './aftermath.js'
import { victims } from './victims.js'

// Kills every command right before one of the system calls that change its repository.

const rounds = isLong ? Math.ceil(300 / victims.length) : 1

t.setTimeout(rounds * victims.length * 20_000)
t.comment(`seed ${seed}, ${rounds} rounds each`)

for (const victim of victims) {
  t.test(`survives kills of ${victim.name}`, { skip: needsStrace }, async t => {
    const folder = t.testdir()
    await using rehearsal = await rehearse(victim, folder)
    const points = changesBelow(rehearsal.root, rehearsal.run.calls)
    t.ok(points.length > 10, `${points.length} calls to kill at`)
    for (let round = 0; round < rounds; round++) {
      const { call, path } = pick(points)
      const place = path.slice(rehearsal.root.length)
      const where = `${victim.name}, killed at ${call.name} ${call.ordinal} of ${place}`
      await killOnce(t, folder, rehearsal, { ...call, where })
    }
  })
}

async function killOnce(
  t: Test,
  folder: string,
  rehearsal: Rehearsal,
  { name, ordinal, where }: { name: string; ordinal: number; where: string },
): Promise<void> {
  const place = join(folder, 'round')
  mkdirSync(place)
  const root = join(place, 'repository')
  copyRepository(rehearsal.base, root)
  const inject = { name, nth: ordinal, effect: 'kill' } as const
  const { signal, code } = await runTraced([...rehearsal.args, '--repo', root], {
    inject,
  })
  // Where threads took turns differently, the call may not have come again.
  t.ok(signal === 'SIGKILL' || code === 0, `${where}: ended by ${signal ?? code}`)
  await assertWhole(t, root, rehearsal, where)
  await assertRepeatable(t, root, rehearsal, where)
  await assertNoSpaceLost(t, root, rehearsal, where)
  rmSync(place, { recursive: true })
}
