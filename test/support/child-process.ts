import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { nodeCommand } from './node-command.js'

/** A child process that speaks in lines. */
export class LineChild {
  readonly process: ChildProcess
  readonly #lines: AsyncIterator<string>
  #errors = ''

  constructor(process: ChildProcess) {
    this.process = process
    if (process.stdout === null || process.stderr === null) throw new Error('no pipes')
    this.#lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]()
    process.stderr.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString()
    })
  }

  /** Waits for the next line; throws with what the child had to say when it ended. */
  async line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error(`the child ended: ${this.#errors}`)
    return value
  }

  /** Writes to its standard input. */
  write(text: string): void {
    this.process.stdin?.write(text)
  }

  /** Lets the child go on that waits for its standard input to end. */
  release(): void {
    this.process.stdin?.end()
  }

  /** Ends the child as a crash would, and waits until it is gone. */
  async kill(): Promise<void> {
    const gone = once(this.process, 'exit')
    this.process.kill('SIGKILL')
    await gone
  }

  /** Waits for the end; returns the exit code, throws with what the child said if not 0. */
  async end(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      await once(this.process, 'exit')
    }
    if (this.process.exitCode !== 0) throw new Error(`the child failed: ${this.#errors}`)
  }
}

/** Starts a program that is killed at the end of the test, if it still runs. */
export function startChild(t: Test, command: string, args: readonly string[]): LineChild {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  t.teardown(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  })
  return new LineChild(child)
}

/** Starts a script of ours, as startChild does. */
export function startScript(t: Test, script: string, args: readonly string[]): LineChild {
  const [command, ...first] = nodeCommand
  return startChild(t, command, [...first, script, ...args])
}

/** Starts one of the actions of repository-child.ts on a repository. */
export function startRepositoryChild(
  t: Test,
  action: string,
  root: string,
  ...args: readonly string[]
): LineChild {
  const script = fileURLToPath(new URL('repository-child.js', import.meta.url))
  return startScript(t, script, [action, root, ...args])
}
