import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { type LineChild, startChild } from './child-process.js'

const run = promisify(execFile)

/** Why containerd cannot be tried here; false when it can. */
export function whyNoContainerd(): string | false {
  if (process.getuid?.() !== 0) return 'only root can run containerd'
  for (const program of ['containerd', 'ctr', 'runc', 'tar', 'rsync']) {
    if (spawnSync(program, ['--version']).error) return `${program} is not installed`
  }
  return false
}

type ContainerdOptions = {
  readonly root: string
  readonly run: string
  /** Socket of the snapshotter. */
  readonly plugin: string
  /** Whether it takes calls of a kubelet, too. */
  readonly cri?: boolean
}

/** A containerd of its own root, state and socket. */
export class Containerd {
  readonly #process: ChildProcess
  readonly #socket: string
  readonly #log: string

  private constructor(process: ChildProcess, socket: string, log: string) {
    this.#process = process
    this.#socket = socket
    this.#log = log
  }

  /** Starts it with a snapshotter plugin `cairn` behind a socket; it ends with the test. */
  static async start(
    t: Test,
    { root, run: state, plugin, cri = false }: ContainerdOptions,
  ): Promise<Containerd> {
    mkdirSync(root, { recursive: true })
    const socket = join(state, 'containerd.sock')
    const config = join(root, 'config.toml')
    writeFileSync(
      config,
      configText({ root: join(root, 'root'), state, socket, plugin, cri }),
    )
    const log = join(root, 'log')
    const output = openSync(log, 'w')
    // Its runtime must not meet that of another containerd.
    const process = spawn('containerd', ['-c', config], {
      stdio: ['ignore', output, output],
    })
    const started = new Containerd(process, socket, log)
    t.teardown(() => started.stop())
    await started.untilItAnswers('version')
    return started
  }

  get socket(): string {
    return this.#socket
  }

  /** Runs ctr to its end; throws with what it said. */
  async ctr(...args: readonly string[]): Promise<string> {
    return this.ctrIn('cairn-test', ...args)
  }

  /** Runs ctr in another name space. */
  async ctrIn(namespace: string, ...args: readonly string[]): Promise<string> {
    const all = ['-a', this.#socket, '-n', namespace, ...args]
    const { stdout } = await run('ctr', all, { maxBuffer: 1 << 26, encoding: 'latin1' })
    return stdout
  }

  /** Starts ctr, whose standard input stays open. */
  startCtr(t: Test, ...args: readonly string[]): LineChild {
    return startChild(t, 'ctr', ['-a', this.#socket, '-n', 'cairn-test', ...args])
  }

  /** Runs ctr on the snapshots of a plugin. */
  async snapshots(...args: readonly string[]): Promise<string> {
    return this.ctr('snapshots', '--snapshotter', 'cairn', ...args)
  }

  /** What it logged. */
  log(): string {
    return readFileSync(this.#log, 'utf8')
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGTERM')
    await once(this.#process, 'exit')
  }

  /** Runs ctr again and again until it succeeds; throws after some ten seconds. */
  async untilItAnswers(...args: readonly string[]): Promise<void> {
    for (let left = 200; ; left--) {
      try {
        await this.ctr(...args)
        return
      } catch (error) {
        if (this.#process.exitCode !== null) throw new Error(this.log(), { cause: error })
        if (left === 0) throw error
        await delay(50)
      }
    }
  }
}

type Config = {
  readonly root: string
  readonly state: string
  readonly socket: string
  readonly plugin: string
  readonly cri: boolean
}

function configText({ root, state, socket, plugin, cri }: Config): string {
  return `version = 2
root = "${root}"
state = "${join(state, 'state')}"
disabled_plugins = [${cri ? '' : '"io.containerd.grpc.v1.cri"'}]

[grpc]
  address = "${socket}"

${documented('toml').replace('/run/cairn/snapshotter.sock', plugin)}
${cri ? documented('toml cri') : ''}
`
}

// What the documentation tells people to write is what is tried.
function documented(language: 'toml' | 'toml cri'): string {
  const path = new URL('../../../docs/containerd.md', import.meta.url)
  const pattern = new RegExp(`\`\`\`${language}\\n([^\`]*)\`\`\``)
  const table = pattern.exec(readFileSync(path, 'utf8'))?.[1]
  if (table === undefined) throw new Error('docs/containerd.md has no example')
  return table
}
