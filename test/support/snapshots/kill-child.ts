import { mkdirSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { loadSnapshot } from '../../../lib/snapshot/content/load-snapshot.js'
import type { LocalSnapshotter } from '../../../lib/snapshot/local-snapshotter.js'
import { openSnapshotter } from '../../../lib/snapshot/open-snapshotter.js'
import type { Snapshotter } from '../../../lib/snapshot/snapshotter.js'
import { storePart } from '../layer-trees.js'
import { key, walkAll } from './subject.js'

// Prepares, fills, commits, loads and removes snapshots in three lanes until it is killed, and
// says what it is about to do, and when it was told that it is done.

const [root = '', start = '0'] = process.argv.slice(2)

/** One call, as the parent reads it. */
export type KillStep =
  | { readonly call: 'prepare'; readonly key: string; readonly parent: string }
  | { readonly call: 'commit'; readonly name: string; readonly key: string }
  | { readonly call: 'remove'; readonly key: string }
  | { readonly call: 'load'; readonly name: string }

let count = 0

async function step(what: KillStep, action: () => Promise<void>): Promise<void> {
  const id = count++
  say({ id, ...what })
  await action()
  say({ id })
}

// At once, so that a kill cannot take what was said already.
function say(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`)
}

async function remove(snapshotter: Snapshotter, name: string): Promise<void> {
  await step({ call: 'remove', key: name }, () => snapshotter.remove(key(name)))
}

/** Two snapshots of one content: the second one shares the files of the first. */
async function loadTwice(snapshotter: LocalSnapshotter, name: string): Promise<string[]> {
  const folder = join(root, '..', 'sources', name)
  mkdirSync(join(folder, 'more'), { recursive: true })
  writeFileSync(join(folder, 'content'), name)
  const { digest: application, reader } = await storePart(folder)
  const names = [name, `${name} copy`]
  for (const each of names) {
    await step({ call: 'load', name: each }, async () => {
      await loadSnapshot(snapshotter, key(each), { reader, application })
    })
  }
  return names
}

async function runLane(snapshotter: LocalSnapshotter, lane: string): Promise<never> {
  let chain: string[] = []
  for (let round = 0; ; round++) {
    const [active, name] = [`${lane} active ${round}`, `${lane} name ${round}`]
    const parent = chain.at(-1) ?? ''
    let source = ''
    await step({ call: 'prepare', key: active, parent }, async () => {
      const [mount] = await snapshotter.prepare(key(active), { parent: key(parent) })
      const upper = mount?.options.find(option => option.startsWith('upperdir='))
      source = upper?.slice('upperdir='.length) ?? mount?.source ?? ''
    })
    writeFileSync(join(source, 'content'), name)
    await step({ call: 'commit', name, key: active }, () =>
      snapshotter.commit(key(name), key(active)),
    )
    chain.push(name)
    if (chain.length < 4) continue
    for (const each of chain.toReversed()) await remove(snapshotter, each)
    chain = []
    const loaded = await loadTwice(snapshotter, `${lane} loaded ${round}`)
    for (const each of loaded) await remove(snapshotter, each)
  }
}

// What the run before left is taken away first, children before parents.
async function removeAll(snapshotter: Snapshotter): Promise<void> {
  for (;;) {
    const infos = await walkAll(snapshotter)
    const parents = new Set(infos.map(({ parent }) => parent))
    const leaves = infos.filter(({ name }) => !parents.has(name))
    if (leaves.length === 0) return
    for (const { name } of leaves) await remove(snapshotter, name)
  }
}

const snapshotter = await openSnapshotter(root, { contentSync: 'none' })
say('ready')
if (Number(start) % 2 === 1) await removeAll(snapshotter)
await Promise.all(['a', 'b', 'c'].map(lane => runLane(snapshotter, `${start} ${lane}`)))
