import type { Test } from 'tap'
import { startCairn } from './run-cairn.js'

/** A `cairn snapshotter` that runs as a child process. */
export type RunningSnapshotter = {
  readonly log: () => string
  /** Asks it to end, or kills it, and tells how it ended. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | NodeJS.Signals>
}

/** Starts `cairn snapshotter`, and waits until it listens; it ends with the test. */
export async function startSnapshotter(
  t: Test,
  args: readonly string[],
): Promise<RunningSnapshotter> {
  const child = startCairn(['snapshotter', ...args])
  let log = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  const ended = new Promise<number | NodeJS.Signals>(resolve => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? -1))
  })
  const stop = async (
    signal: NodeJS.Signals = 'SIGTERM',
  ): Promise<number | NodeJS.Signals> => {
    child.kill(signal)
    return ended
  }
  t.teardown(() => stop('SIGKILL'))
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('error', reject)
    child.once('close', code => reject(new Error(`it ended: ${code} ${log}`)))
  })
  return { log: () => log, stop }
}
