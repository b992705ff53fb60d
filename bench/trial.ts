import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { makeFreshDisk } from './fresh-disk.js'
import { CommandError, type Cost, measure, prepare } from './measure.js'
import type { Command, Phase, Places, Tool } from './tool.js'

/** What one tool took in one round: its costs, and what its repository grew to. */
export type Trial = {
  readonly costs: ReadonlyMap<Phase, Cost>
  /** Bytes on disk after a phase. */
  readonly sizes: ReadonlyMap<Phase, number>
}

/** Where and how a round is run. */
export type TrialOptions = {
  readonly work: string
  readonly lock: readonly string[]
  readonly diskBytes: number
  readonly phases: ReadonlySet<Phase>
  readonly tree: string
  /** Without one there is no upgrade, no update and no collection. */
  readonly next: string | undefined
}

/** Takes one tool through all phases, on a disk of its own. */
export function tryTool(tool: Tool, options: TrialOptions): Trial {
  const { work, lock, tree, next } = options
  using disk = makeFreshDisk(work, options.diskBytes)
  const repo = join(disk.folder, 'repo')
  const places: Places = { repo, tree, next: next ?? tree, out: join(disk.folder, 'out') }
  const costs = new Map<Phase, Cost>()
  const sizes = new Map<Phase, number>()
  const script = (command: Command, syncs: boolean): string =>
    [
      'set -e',
      tool.environment?.(places) ?? '',
      command(places),
      syncs ? `sync -f ${disk.folder}` : '',
    ].join('\n')
  const run = (phase: Phase, command: Command | undefined, syncs: boolean): void => {
    if (command === undefined || !options.phases.has(phase)) return
    const record = join(work, 'time')
    try {
      costs.set(phase, measure(script(command, syncs), { record, lock }))
      sizes.set(phase, sizeOf(repo))
    } catch (error) {
      // What a peer cannot do with a tree is left out of its table.
      if (!(error instanceof CommandError)) throw error
      process.stderr.write(`${tool.name}, ${phase}: ${error.message}\n`)
    }
  }
  prepare(script(tool.init, true))
  run('cold store', tool.store, !tool.durable)
  run('second store', tool.store, !tool.durable)
  run('checkout', tool.checkout, false)
  if (next !== undefined) {
    run('upgraded tree', tool.upgrade, !tool.durable)
    run('update checkout', tool.update, false)
  }
  run('verify', tool.verify, false)
  if (next !== undefined && tool.forget !== undefined && options.phases.has('collect')) {
    prepare(script(tool.forget, false))
    run('collect', tool.collect, !tool.durable)
  }
  return { costs, sizes }
}

function sizeOf(folder: string): number {
  const said = execFileSync('du', ['-s', '--block-size=1', folder], { encoding: 'utf8' })
  return Number(said.split('\t')[0])
}
