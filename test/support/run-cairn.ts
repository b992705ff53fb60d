import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bareNodeCommand, nodeCommand } from './node-command.js'

/** The built program: `node` runs it. */
export const cairnPath = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

/** How a run of the program ended. */
export type Outcome = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Standard output as bytes. */
  readonly bytes: Buffer
}

/** Where and how the program runs. */
export type CairnOptions = {
  /** Becomes CAIRN_REPO. */
  readonly repo?: string
  readonly cwd?: string
  readonly home?: string
  /** Options of Node itself. */
  readonly nodeOptions?: readonly string[]
  /** Added to the environment; undefined takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Runs as this user. */
  readonly uid?: number
  readonly gid?: number
}

/** Runs the program to its end, without an input. */
export async function cairn(
  args: readonly string[],
  options: CairnOptions = {},
): Promise<Outcome> {
  const child = startCairn(args, options)
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      const bytes = Buffer.concat(stdout)
      resolve({
        code,
        signal,
        bytes,
        stdout: bytes.toString(),
        stderr: Buffer.concat(stderr).toString(),
      })
    })
  })
}

/** Runs the program with `--json`; the document it printed, its members unchecked. */
export async function cairnJson(
  args: readonly string[],
  options: CairnOptions = {},
): Promise<{ readonly [key: string]: unknown }> {
  const run = await cairn([...args, '--json'], options)
  try {
    return JSON.parse(run.stdout) as { readonly [key: string]: unknown }
  } catch (cause) {
    const shown = `${args.join(' ')}: exit code ${run.code}, ${run.stdout}${run.stderr}`
    throw new Error(`no JSON document from ${shown}`, { cause })
  }
}

/** Starts the program; the caller reads its pipes and awaits its end. */
export function startCairn(
  args: readonly string[],
  options: CairnOptions = {},
): ChildProcess {
  const {
    repo,
    cwd,
    home = join(tmpdir(), 'cairn-test-no-home'),
    nodeOptions = [],
    env,
    uid,
    gid,
  } = options
  const [command, ...first] = uid === undefined ? nodeCommand : bareNodeCommand
  return spawn(command, [...first, ...nodeOptions, cairnPath, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      HOME: home,
      XDG_DATA_HOME: undefined,
      XDG_CONFIG_HOME: undefined,
      CAIRN_TOKEN: undefined,
      CAIRN_REPO: repo,
      ...env,
    },
    ...(cwd !== undefined && { cwd }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  })
}

/** A server that runs as a child process. */
export interface RunningServer extends AsyncDisposable {
  /** Its base URL, without a slash at the end. */
  readonly url: string
  readonly process: ChildProcess
  /** What it wrote to standard error so far. */
  log(): string
  /** Asks it to end, or kills it, and tells how it ended. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>
}

/** Starts `cairn serve` on a free port of 127.0.0.1 and waits until it listens. */
export async function startServer(
  args: readonly string[],
  options: CairnOptions = {},
): Promise<RunningServer> {
  const child = startCairn(
    ['serve', '--json', '--listen', '127.0.0.1:0', ...args],
    options,
  )
  let log = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  const ended = new Promise<number | NodeJS.Signals>(resolve => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? -1))
  })
  const line = await firstLine(child, () => log)
  const { url } = JSON.parse(line) as { url: string }
  const stop = async (
    signal: NodeJS.Signals = 'SIGTERM',
  ): Promise<number | NodeJS.Signals> => {
    child.kill(signal)
    return ended
  }
  return {
    url: url.replace(/\/$/, ''),
    process: child,
    log: () => log,
    stop,
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL')
    },
  }
}

async function firstLine(child: ChildProcess, log: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')))
    })
    child.once('error', reject)
    child.once('close', code => {
      reject(new Error(`the server ended before it listened: ${code} ${log()}`))
    })
  })
}
