import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isLong, pick, random, seed } from '../support/campaign.js'
import { DiskRecord } from '../support/disk-record.js'
import { type Chance, writeLossyState } from '../support/lossy-disk.js'
import { needsStrace } from '../support/traced-run.js'
import {
  assertNoSpaceLost,
  assertRepeatable,
  assertWhole,
  type Rehearsal,
  rehearse,
} from './aftermath.js'
import { victims } from './victims.js'

// Cuts the power at every moment of each command: what was not synced is there or not.

const states = isLong ? 400 : 12
// Of the states that are looked at, those in which the command is repeated.
const repeats = isLong ? 40 : 1

t.setTimeout(states * victims.length * 5_000)
t.comment(`seed ${seed}, ${states} states each`)

for (const victim of victims) {
  t.test(`survives power loss in ${victim.name}`, { skip: needsStrace }, async t => {
    const folder = t.testdir()
    await using rehearsal = await rehearse(victim, folder, { content: true })
    const { root, base, run } = rehearsal
    const record = new DiskRecord(root, base, run.calls)
    t.ok(record.changes.length > 5)
    for (let round = 0; round < states; round++) {
      const changes = Math.floor(random() * (record.changes.length + 1))
      const isOrdered = victim.needsOrderedNames === true
      const luck = pick(lucks.filter(({ ordered }) => ordered || !isOrdered))
      await loseOnce(t, folder, rehearsal, record, { changes, luck, round })
    }
  })
}

const fates = ['kept', 'lost'] as const
const byteFates = ['kept', 'lost', 'half', 'zeros'] as const

type Luck = {
  readonly kind: string
  /** Whether names survive in the order in which they were given, as with a journal. */
  readonly ordered: boolean
  readonly chance: (changes: number) => Chance
}

// What filesystems may do.
const lucks: readonly Luck[] = [
  {
    kind: 'all lost',
    ordered: true,
    chance: () => ({ name: () => 'lost', bytes: () => 'lost' }),
  },
  {
    kind: 'names kept, bytes lost',
    ordered: true,
    chance: () => ({ name: () => 'kept', bytes: () => 'lost' }),
  },
  {
    kind: 'names kept, bytes zero',
    ordered: true,
    chance: () => ({ name: () => 'kept', bytes: () => 'zeros' }),
  },
  {
    kind: 'the first names kept, some bytes',
    ordered: true,
    chance: changes => {
      let left = Math.floor(random() * changes)
      return { name: () => (left-- > 0 ? 'kept' : 'lost'), bytes: () => pick(byteFates) }
    },
  },
  {
    kind: 'any names kept, any bytes',
    ordered: false,
    chance: () => ({ name: () => pick(fates), bytes: () => pick(byteFates) }),
  },
]

async function loseOnce(
  t: Test,
  folder: string,
  rehearsal: Rehearsal,
  record: DiskRecord,
  { changes, luck, round }: { changes: number; luck: Luck; round: number },
): Promise<void> {
  const place = join(folder, 'round')
  mkdirSync(place)
  const root = join(place, 'repository')
  writeLossyState(record, { changes, folder: root, chance: luck.chance(changes) })
  const where = `${rehearsal.victim.name}, ${changes} of ${record.changes.length} changes, ${luck.kind}`
  const tags = await assertWhole(t, root, rehearsal, where)
  const told = record.changes
    .slice(0, changes)
    .some(({ change }) => change.kind === 'told')
  if (told) t.strictSame(tags, rehearsal.after, `${where}: what was told stays`)
  if (round < repeats) {
    await assertRepeatable(t, root, rehearsal, where)
    await assertNoSpaceLost(t, root, rehearsal, where)
  }
  rmSync(place, { recursive: true })
}
