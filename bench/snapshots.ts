import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { noSnapshot, parseSnapshotKey } from '../lib/snapshot/snapshot-key.js'
import type { Snapshotter } from '../lib/snapshot/snapshotter.js'
import { SnapshotClient } from '../server/grpc/snapshot-client.js'
import { median } from './measure.js'

// Snapshots by cairn and by containerd's own overlayfs snapshotter, asked by the same client.

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    chain: { type: 'string', default: '100' },
    prepares: { type: 'string', default: '1000' },
    walk: { type: 'string', default: '10000' },
  },
})
const cairn = fileURLToPath(new URL('../bin/main.js', import.meta.url))
// What has no root is collected by containerd.
const labels = new Map([['containerd.io/gc.root', 'bench']])
const together = 64

type Subject = { readonly name: string; readonly snapshotter: Snapshotter }
type Phase = {
  readonly name: string
  readonly run: (snapshotter: Snapshotter, round: number) => Promise<void>
}

const key = (text: string) => parseSnapshotKey(text)

const phases: readonly Phase[] = [
  {
    name: `chain of ${values.chain}`,
    run: async (snapshotter, round) => {
      let parent = noSnapshot
      for (let layer = 0; layer < Number(values.chain); layer++) {
        await snapshotter.prepare(key('layer'), { parent, labels })
        const name = key(`chain ${round} ${layer}`)
        await snapshotter.commit(name, key('layer'), { labels })
        parent = name
      }
    },
  },
  {
    name: `${values.prepares} prepares`,
    run: async (snapshotter, round) => {
      const parent = key(`chain ${round} 0`)
      for (let count = 0; count < Number(values.prepares); count++) {
        await snapshotter.prepare(key(`work ${round} ${count}`), { parent, labels })
      }
    },
  },
  {
    name: `${values.prepares} stats`,
    run: async (snapshotter, round) => {
      for (let count = 0; count < Number(values.prepares); count++) {
        await snapshotter.stat(key(`work ${round} ${count}`))
      }
    },
  },
  {
    name: `${values.prepares} removes`,
    run: async (snapshotter, round) => {
      for (let count = 0; count < Number(values.prepares); count++) {
        await snapshotter.remove(key(`work ${round} ${count}`))
      }
    },
  },
]

const walk: Phase = {
  name: `walk over ${values.walk}`,
  run: async snapshotter => {
    let found = 0
    for await (const batch of snapshotter.walk()) found += batch.length
    if (found < Number(values.walk)) throw new Error(`a walk over ${found} only`)
  },
}

async function main(): Promise<void> {
  if (values.folder === undefined)
    throw new Error('--folder DIR: where snapshots are made')
  await using stack = new Processes(mkdtempSync(join(values.folder, 'bench-snapshots-')))
  const subjects = await stack.start()
  const times = new Map<string, number[]>()
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const phase of phases) {
      // Another one begins each time.
      const turned = subjects.map((_, at) => subjects[(at + round) % subjects.length])
      for (const subject of turned) if (subject) await time(times, subject, phase, round)
    }
  }
  if (Number(values.walk) > 0) {
    for (const { snapshotter } of subjects) await fill(snapshotter)
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const subject of subjects) await time(times, subject, walk, round)
    }
  }
  print(subjects, times)
}

async function time(
  times: Map<string, number[]>,
  { name, snapshotter }: Subject,
  phase: Phase,
  round: number,
): Promise<void> {
  const started = performance.now()
  await phase.run(snapshotter, round)
  const taken = performance.now() - started
  const place = `${phase.name}\t${name}`
  times.set(place, [...(times.get(place) ?? []), taken])
}

async function fill(snapshotter: Snapshotter): Promise<void> {
  const parent = key('chain 0 0')
  const add = async (first: number): Promise<void> => {
    for (let count = first; count < Number(values.walk); count += together) {
      await snapshotter.view(key(`view ${count}`), { parent, labels })
    }
  }
  await Promise.all(Array.from({ length: together }, (_, first) => add(first)))
}

function print(
  subjects: readonly Subject[],
  times: ReadonlyMap<string, readonly number[]>,
): void {
  const reference = subjects.at(-1)?.name ?? ''
  const all = Number(values.walk) > 0 ? [...phases, walk] : phases
  for (const { name } of all) {
    const base = median(times.get(`${name}\t${reference}`) ?? [])
    const cells = subjects.map(subject => {
      const taken = median(times.get(`${name}\t${subject.name}`) ?? [])
      return `${subject.name} ${taken.toFixed(0)} ms (${(taken / base).toFixed(2)})`
    })
    process.stdout.write(`${name}: ${cells.join(', ')}\n`)
  }
}

/** What is measured, in a folder that goes with it. */
class Processes implements AsyncDisposable {
  readonly #folder: string
  readonly #children: ChildProcess[] = []
  readonly #clients: SnapshotClient[] = []

  constructor(folder: string) {
    this.#folder = folder
  }

  async start(): Promise<Subject[]> {
    const [direct, unsynced, behind] = ['direct', 'unsynced', 'behind'].map(name => ({
      socket: join(this.#folder, `${name}.sock`),
      root: join(this.#folder, name),
    }))
    if (direct === undefined || unsynced === undefined || behind === undefined) return []
    for (const { socket, root } of [direct, unsynced, behind]) {
      const flags = ['--socket', socket, '--root', root, '--quiet']
      const sync = root === direct.root ? [] : ['--no-content-sync']
      this.#spawn(process.execPath, [cairn, 'snapshotter', ...flags, ...sync])
    }
    const containerd = this.#startContainerd(behind.socket)
    return [
      { name: 'cairn', snapshotter: await this.#connect(direct.socket) },
      {
        name: 'cairn without content sync',
        snapshotter: await this.#connect(unsynced.socket),
      },
      {
        name: 'cairn behind containerd',
        snapshotter: await this.#connect(containerd, 'cairn'),
      },
      {
        name: "containerd's overlayfs",
        snapshotter: await this.#connect(containerd, 'overlayfs'),
      },
    ]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close()
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill()
      await once(child, 'exit')
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #startContainerd(plugin: string): string {
    const socket = join(this.#folder, 'containerd.sock')
    const config = join(this.#folder, 'config.toml')
    mkdirSync(join(this.#folder, 'state'))
    const text = `version = 2
root = "${join(this.#folder, 'containerd')}"
state = "${join(this.#folder, 'state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${socket}"
[proxy_plugins.cairn]
  type = "snapshot"
  address = "${plugin}"
`
    writeFileSync(config, text)
    this.#spawn('containerd', ['-c', config, '-l', 'error'])
    return socket
  }

  #spawn(command: string, args: readonly string[]): void {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    this.#children.push(child)
  }

  async #connect(socket: string, snapshotter?: string): Promise<SnapshotClient> {
    for (let left = 200; ; left--) {
      const client = new SnapshotClient(
        socket,
        snapshotter === undefined ? {} : { snapshotter },
      )
      try {
        for await (const _ of client.walk()) break
        this.#clients.push(client)
        return client
      } catch (error) {
        await client.close()
        if (left === 0) throw error
        await delay(50)
      }
    }
  }
}

await main()
