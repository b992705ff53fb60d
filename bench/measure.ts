import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a command took: seconds, seconds of processors, bytes of its largest process. */
export type Cost = {
  readonly wall: number
  readonly cpu: number
  readonly memory: number
}

/** A command that was measured did not succeed. */
export class CommandError extends Error {}

const timed = fileURLToPath(new URL('timed.js', import.meta.url))

/** Runs a command of bash and measures it; `lock` is a command to run it under. */
export function measure(
  script: string,
  { record, lock }: { record: string; lock: readonly string[] },
): Cost {
  const [command, ...args] = [...lock, process.execPath, timed, script, record]
  const run = spawnSync(command, args, { encoding: 'utf8' })
  if (run.error !== undefined) throw run.error
  if (run.status !== 0) throw new Error(`${command}: ${run.stderr}`)
  const { code, said, ...cost } = JSON.parse(run.stdout) as Cost & {
    code: number
    said: string
  }
  if (code !== 0) throw new CommandError(`exit code ${code} from: ${script}\n${said}`)
  return cost
}

/** Runs a command of bash that is not measured. */
export function prepare(script: string): void {
  const run = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`${run.status} from: ${script}\n${run.stderr}`)
}

/** The middle one of an odd count, between the middle two of an even one. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((one, other) => one - other)
  const half = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]]
  if (low === undefined || high === undefined) throw new Error('a median of nothing')
  return (low + high) / 2
}
