import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { DriverName } from '../../lib/snapshot/driver/snapshot-driver.js'
import { openSnapshotter } from '../../lib/snapshot/open-snapshotter.js'
import { startScript } from '../support/child-process.js'
import { seededRandom } from '../support/seeded-random.js'
import type { KillStep } from '../support/snapshots/kill-child.js'
import { key, walkAll } from '../support/snapshots/subject.js'

const script = fileURLToPath(
  new URL('../support/snapshots/kill-child.js', import.meta.url),
)
const kills = process.env['CAIRN_TEST_LONG'] === '1' ? 200 : 4
const skip = process.getuid?.() === 0 ? false : 'only root may make overlay mounts'

/** What is known of each snapshot: what it stands on, by key. */
type State = Map<string, { readonly parent: string; readonly committed: boolean }>

for (const driver of ['overlay', 'native'] as const) {
  t.test(
    `loses nothing that was answered when it is killed (${driver})`,
    { skip, timeout: 900_000 },
    t => runCampaign(t, driver),
  )
}

async function runCampaign(t: Test, driver: DriverName): Promise<void> {
  const root = join(t.testdir({}), 'root')
  await (await openSnapshotter(root, { driver })).close()
  const random = seededRandom(4711)
  let state: State = new Map()
  for (let round = 0; round < kills; round++) {
    const steps = await killWhileBusy(t, { root, round, after: random() * 150 })
    state = await checkAfterKill(t, { root, before: state, steps })
  }
}

type Said = { readonly id: number } & Partial<KillStep>

async function killWhileBusy(
  t: Test,
  { root, round, after }: { root: string; round: number; after: number },
): Promise<Said[]> {
  const child = startScript(t, script, [root, String(round)])
  let text = ''
  const ready = new Promise<void>(resolve => {
    child.process.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      resolve()
    })
  })
  await ready
  await delay(after)
  await child.kill()
  return text
    .split('\n')
    .slice(1, -1)
    .map(line => JSON.parse(line) as Said)
}

/** Opens the root: what was answered holds, what was not is done or not; nothing is left. */
async function checkAfterKill(
  t: Test,
  { root, before, steps }: { root: string; before: State; steps: readonly Said[] },
): Promise<State> {
  const answered = new Set(
    steps.filter(said => said.call === undefined).map(({ id }) => id),
  )
  const state: State = new Map(before)
  const open: KillStep[] = []
  for (const said of steps) {
    if (said.call === undefined) continue
    if (answered.has(said.id)) apply(state, said as KillStep)
    else open.push(said as KillStep)
  }
  await using snapshotter = await openSnapshotter(root)
  t.same(snapshotter.recovery.missing, [])
  const found = await walkAll(snapshotter)
  const names = new Set<string>(found.map(({ name }) => name))
  for (const step of open) if (isDone(names, step)) apply(state, step)
  const shown = found.map(
    ({ name, parent, kind }) =>
      [name, { parent, committed: kind === 'committed' }] as const,
  )
  t.same(new Map(shown), state, `${steps.length} steps`)
  await snapshotter.cleanup()
  const contents = new Set(found.map(({ name }) => contentOf(name)))
  t.equal(readdirSync(join(root, 's')).length, contents.size, 'no folder too many')
  t.same(readdirSync(join(root, 'trash')), [])
  for (const [name, { committed }] of state) {
    if (!committed) continue
    const view = await snapshotter.view(key('view'), { parent: key(name) })
    const options = view[0]?.options.find(option => option.startsWith('lowerdir='))
    const layer = options?.slice('lowerdir='.length).split(':')[0] ?? view[0]?.source
    t.equal(readFileSync(join(layer ?? '', 'content'), 'utf8'), contentOf(name))
    await snapshotter.remove(key('view'))
  }
  return state
}

// A copy shares the files of what it is a copy of.
function contentOf(name: string): string {
  return name.replace(/ copy$/, '')
}

function isDone(names: ReadonlySet<string>, step: KillStep): boolean {
  if (step.call !== 'prepare' && step.call !== 'remove') return names.has(step.name)
  return names.has(step.key) === (step.call === 'prepare')
}

function apply(state: State, step: KillStep): void {
  switch (step.call) {
    case 'prepare':
      state.set(step.key, { parent: step.parent, committed: false })
      break
    case 'commit':
      state.set(step.name, { parent: state.get(step.key)?.parent ?? '', committed: true })
      state.delete(step.key)
      break
    case 'load':
      state.set(step.name, { parent: '', committed: true })
      break
    case 'remove':
      state.delete(step.key)
      break
    default:
      step satisfies never
  }
}
