import { type ChildProcess, spawn } from 'node:child_process'
import type { CommandContext } from '../context.js'
import { StepFailedError } from '../failure.js'
import { shellWord } from '../shell-word.js'

/** A command that was run, and what came out. */
export type Step = {
  readonly command: string
  readonly exitCode: number
  readonly seconds: number
  readonly stdout: string
  readonly stderr: string
}

/** A server that runs until it is disposed. */
export type ServerStep = AsyncDisposable & { readonly url: string }

/** Runs this program's own commands as a user would, and shows them. */
export class StepRunner {
  readonly #context: CommandContext
  readonly #steps: Step[] = []

  constructor(context: CommandContext) {
    this.#context = context
  }

  /** Aborted when the whole is to end. */
  get signal(): AbortSignal {
    return this.#context.signal
  }

  get steps(): readonly Step[] {
    return this.#steps
  }

  /** Prints beside the steps: not with `--json` or `--quiet`. */
  async tell(text: string): Promise<void> {
    const { output } = this.#context
    if (!output.mode.json && !output.mode.quiet) await output.write(text)
  }

  /** Runs a command to its end; throws StepFailedError unless it succeeds. */
  async run(...args: readonly string[]): Promise<Step> {
    await this.tell(`$ ${commandLine(args)}\n`)
    const started = performance.now()
    const child = this.#spawn(args)
    const pieces = collect(child)
    const exitCode = await endOf(child)
    const seconds = (performance.now() - started) / 1000
    const step = { command: commandLine(args), exitCode, seconds, ...pieces() }
    this.#steps.push(step)
    await this.tell(indent(step.stderr) + indent(step.stdout))
    this.#context.signal.throwIfAborted()
    if (exitCode !== 0) throw new StepFailedError(step.command, exitCode)
    return step
  }

  /** Starts a server; the caller disposes it, which ends it gracefully. */
  async serve(...args: readonly string[]): Promise<ServerStep> {
    const command = ['serve', ...args, '--json']
    await this.tell(`$ ${commandLine(command)} &\n`)
    const child = this.#spawn(command)
    const pieces = collect(child)
    const ended = endOf(child)
    const started = performance.now()
    const stop = async (): Promise<void> => {
      child.kill('SIGTERM')
      const exitCode = await ended
      const seconds = (performance.now() - started) / 1000
      this.#steps.push({ command: commandLine(command), exitCode, seconds, ...pieces() })
    }
    const listening = await Promise.race([firstLine(child), ended])
    if (typeof listening === 'number') {
      await this.tell(indent(pieces().stderr))
      throw new StepFailedError(commandLine(command), listening)
    }
    await this.tell(indent(listening))
    return { url: String(readMember(listening, 'url')), [Symbol.asyncDispose]: stop }
  }

  #spawn(args: readonly string[]): ChildProcess {
    const { self, signal } = this.#context
    return spawn(self.command, [...self.arguments, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    })
  }
}

function commandLine(args: readonly string[]): string {
  return ['cairn', ...args].map(shellWord).join(' ')
}

function collect(child: ChildProcess): () => { stdout: string; stderr: string } {
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  return () => ({
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
  })
}

async function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', error => {
      // The signal killed it: its end follows.
      if (error.name !== 'AbortError') reject(error)
    })
    child.once('close', code => resolve(code ?? -1))
  })
}

async function firstLine(child: ChildProcess): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')))
    })
  })
}

/** A member of the JSON document that a command printed; undefined when it has none. */
export function readMember(text: string, name: string): unknown {
  const document: unknown = JSON.parse(text)
  if (typeof document !== 'object' || document === null) return undefined
  return Object.entries(document).find(([key]) => key === name)?.[1]
}

function indent(text: string): string {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => `    ${line}\n`)
    .join('')
}
