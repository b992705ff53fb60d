import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { Containerd, whyNoContainerd } from '../support/containerd.js'
import { startCriClient } from '../support/cri-client.js'
import { startRegistry, whyNoRegistry } from '../support/image-registry.js'
import { makeHardLayers, packImage } from '../support/oci-image.js'
import { cairnJson } from '../support/run-cairn.js'
import { socketFolder } from '../support/snapshots/socket-folder.js'
import { startSnapshotter } from '../support/start-snapshotter.js'

// Images pulled as a kubelet does, by a real containerd from a real registry.

const kubernetes = 'k8s.io'

t.test(
  'downloads no layer that the repository holds',
  { skip: whyNoContainerd() || whyNoRegistry(), timeout: 120_000 },
  async t => {
    const folder = t.testdir({})
    const sockets = socketFolder(t)
    const repo = join(folder, 'repo')
    await cairnJson(['init'], { repo })
    const socket = join(sockets, 'cairn.sock')
    const flags = ['--socket', socket, '--root', join(folder, 'snapshots')]
    await startSnapshotter(t, [...flags, '--layers', '--repo', repo])
    const registry = await startRegistry(t, folder)
    const containerd = await Containerd.start(t, {
      root: join(folder, 'containerd'),
      run: sockets,
      plugin: socket,
      cri: true,
    })
    const image = `${registry.address}/hard:1`
    const archive = packImage(folder, makeHardLayers(folder), image)
    await containerd.ctr('images', 'import', '--no-unpack', archive)
    await containerd.ctr('images', 'push', '--plain-http', image)
    await containerd.ctr('images', 'rm', '--sync', image)
    const kubelet = startCriClient(t, containerd.socket)

    await kubelet.pull(image)
    const first = registry.fetched()
    t.equal(first.length, 4, 'three layers and a config')
    const before = await committed()
    t.equal(before.length, 3)
    const tags = await untilStored()
    const top = topOf(before)
    const saved = await save(top, 'before')
    t.ok(
      before.every(({ ref }) => tags.includes(`layer-${ref.replace(':', '-')}`)),
      'each layer has a tag',
    )

    const names = (await containerd.ctrIn(kubernetes, 'images', 'ls', '-q')).split('\n')
    await containerd.ctrIn(kubernetes, 'images', 'rm', '--sync', ...names.filter(Boolean))
    t.same(await committed(), [], 'nothing of the image is left')

    await kubelet.pull(image)
    const config = registry.fetched().slice(first.length)
    t.equal(config.length, 1, 'of the second pull: the config alone')
    const after = await committed()
    t.same(
      after.map(({ ref }) => ref),
      before.map(({ ref }) => ref),
    )
    t.equal(await save(topOf(after), 'after'), saved, 'the same tree, times and all')

    async function committed(): Promise<Layer[]> {
      const { snapshots } = (await cairnJson(
        ['snapshot', 'ls', 'kind==committed', '--socket', socket],
        { repo },
      )) as unknown as { snapshots: readonly Listed[] }
      const layers = snapshots.map(({ key, parent, labels }) => {
        return { key, parent, ref: labels['containerd.io/snapshot.ref'] ?? '' }
      })
      return layers.toSorted((a, b) => (a.ref < b.ref ? -1 : 1))
    }

    async function save(key: string, tag: string): Promise<unknown> {
      const args = ['snapshot', 'save', key, '-t', tag, '--mtime', '--socket', socket]
      return (await cairnJson(args, { repo }))['digest']
    }

    async function untilStored(): Promise<string[]> {
      for (let left = 200; ; left--) {
        const { tags: found } = (await cairnJson(['tag', 'list'], {
          repo,
        })) as unknown as {
          tags: readonly { readonly name: string }[]
        }
        const layers = found
          .map(({ name }) => name)
          .filter(name => name.startsWith('layer-'))
        if (layers.length === 3) return layers
        if (left === 0) throw new Error(`stored: ${layers.join(' ')}`)
        await delay(50)
      }
    }
  },
)

type Listed = {
  readonly key: string
  readonly parent: string | null
  readonly labels: Readonly<Record<string, string>>
}

type Layer = {
  readonly key: string
  readonly parent: string | null
  readonly ref: string
}

function topOf(layers: readonly Layer[]): string {
  const parents = new Set(layers.map(({ parent }) => parent))
  return layers.find(({ key }) => !parents.has(key))?.key ?? ''
}
