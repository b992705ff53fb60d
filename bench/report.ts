import { median } from './measure.js'
import { type Phase, phases, type Tool } from './tool.js'
import type { Trial } from './trial.js'

/** What every tool took in all rounds on one tree. */
export type Results = ReadonlyMap<Tool, readonly Trial[]>

const isOwn = ({ name }: Tool): boolean => name === 'cairn'

/** Writes the tables of one tree in Markdown; times are medians, beside them the spread. */
export function reportOn(tree: string, results: Results): string {
  const parts = phases.flatMap(phase => {
    const table = tableOf(phase, results)
    return table === undefined ? [] : [`#### ${tree}: ${phase}\n\n${table}`]
  })
  return [...parts, `#### ${tree}: targets\n\n${targetsOf(results)}`].join('\n\n')
}

function tableOf(phase: Phase, results: Results): string | undefined {
  const reference = wallOf(phase, results, isOwn)
  const rows = [...results].flatMap(([tool, trials]) => {
    const costs = trials.flatMap(({ costs: all }) => all.get(phase) ?? [])
    if (costs.length === 0) return []
    const walls = costs.map(({ wall }) => wall)
    const wall = median(walls)
    const size = trials.flatMap(({ sizes }) => sizes.get(phase) ?? [])
    const cells = [
      tool.name,
      seconds(wall),
      `${seconds(Math.min(...walls))}–${seconds(Math.max(...walls))}`,
      reference === undefined ? '' : ratio(wall / reference),
      seconds(median(costs.map(({ cpu }) => cpu))),
      mebibytes(Math.max(...costs.map(({ memory }) => memory))),
      mebibytes(median(size)),
    ]
    return [{ wall, text: `| ${cells.join(' | ')} |` }]
  })
  if (rows.length === 0) return undefined
  const sorted = rows.toSorted((one, other) => one.wall - other.wall)
  return [
    '| tool | seconds | spread | × cairn | CPU s | peak MiB | repository MiB |',
    '|---|--:|--:|--:|--:|--:|--:|',
    ...sorted.map(({ text }) => text),
  ].join('\n')
}

type Target = {
  readonly text: string
  readonly phase: Phase
  readonly chooses: (tool: Tool) => boolean
}

// The fastest of the tools that are chosen is what cairn is compared with.
const targets: readonly Target[] = [
  {
    text: 'cold store / fastest durable rival',
    phase: 'cold store',
    chooses: ({ rival }) => rival,
  },
  {
    text: 'cold store / cp + sync',
    phase: 'cold store',
    chooses: ({ name }) => name === 'cp -a',
  },
  {
    text: 'second store / borg',
    phase: 'second store',
    chooses: ({ name }) => name.startsWith('borg'),
  },
  { text: 'checkout / tar xf', phase: 'checkout', chooses: ({ name }) => name === 'tar' },
  {
    text: 'checkout / fastest rival',
    phase: 'checkout',
    chooses: ({ rival }) => rival,
  },
]

function targetsOf(results: Results): string {
  const lines = targets.flatMap(({ text, phase, chooses }) => {
    const [mine, other] = [isOwn, chooses].map(choice => wallOf(phase, results, choice))
    if (mine === undefined || other === undefined) return []
    return [`| ${text} | ${ratio(mine / other)} (${seconds(mine)} / ${seconds(other)}) |`]
  })
  const [update, full] = (['update checkout', 'checkout'] as const).map(phase =>
    wallOf(phase, results, isOwn),
  )
  if (update !== undefined && full !== undefined) {
    lines.push(
      `| update / full checkout | ${ratio(update / full)} (${seconds(update)} / ${seconds(full)}) |`,
    )
  }
  return ['| target | |', '|---|---|', ...lines].join('\n')
}

/** The median time of the fastest tool of those chosen. */
function wallOf(
  phase: Phase,
  results: Results,
  chooses: (tool: Tool) => boolean,
): number | undefined {
  const walls = [...results]
    .filter(([tool]) => chooses(tool))
    .map(([, trials]) => trials.flatMap(({ costs }) => costs.get(phase)?.wall ?? []))
    .filter(all => all.length > 0)
    .map(median)
  return walls.length === 0 ? undefined : Math.min(...walls)
}

const seconds = (value: number): string => value.toFixed(value < 10 ? 3 : 1)
const ratio = (value: number): string => value.toFixed(2)
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)
