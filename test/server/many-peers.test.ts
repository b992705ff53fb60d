import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { pull } from '../../lib/remote/pull.js'
import { push } from '../../lib/remote/push.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import { openRepository } from '../../lib/repository/open.js'
import type { Repository } from '../../lib/repository/repository.js'
import type { StoreSession } from '../../lib/store/object-store.js'
import { putApplication, putDirectory, putHeader } from '../../lib/store/typed-object.js'
import { layouts, makeRepositoryWith } from '../support/golden-repository.js'
import { nodeCommand } from '../support/node-command.js'

const peers = 20
const filesInTree = 60
const largeFileBytes = 3 * 1024 * 1024
const mostMemoryKiB = 300 * 1024
const script = fileURLToPath(new URL('../support/serve-folder.js', import.meta.url))

/** Commits a tree of small files and a large one, some of them the same in every tree. */
async function putTree(session: StoreSession, number: number): Promise<Descriptor> {
  const file = { mode: 0o644, rdev: 0, uid: 0, gid: 0, xattrs: [] }
  const header = await putHeader(session, file)
  const names = Array.from(
    { length: filesInTree },
    (_, index) => `file-${index}`,
  ).toSorted()
  const links = await session.put([
    ...names.map((name, index) => ({
      type: 'file' as const,
      payload: Buffer.from(`${name} ${index % 3 === 0 ? 'shared' : number}`.repeat(200)),
    })),
    { type: 'file' as const, payload: Buffer.alloc(largeFileBytes, number) },
  ])
  const entries = [...names, 'large'].map((name, index) => {
    const link = links[index]
    if (link === undefined) throw new Error('a session answered for no object')
    return { kind: 'regular' as const, name: Buffer.from(name), header, file: link }
  })
  const rootHeader = await putHeader(session, { ...file, mode: 0x800001ed, uid: number })
  const rootDirectory = await putDirectory(session, entries)
  return putApplication(session, { rootHeader, rootDirectory })
}

async function fill(repository: Repository, from: number): Promise<void> {
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const trees: Descriptor[] = []
  for (let number = 0; number < peers; number++) {
    trees.push(await putTree(session.objects, from + number))
  }
  await session.objects.publish(trees.map(({ digest }) => digest))
  for (const [number, tree] of trees.entries()) {
    await repository.tags.set(`tree-${from + number}`, tree)
  }
}

async function findings(repository: Repository): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const finding of repository.check({ objects: 'all' })) found.push(finding)
  return found
}

/** The most memory that a process ever had, in KiB. */
function peakMemory(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1])
}

for (const layout of layouts) {
  t.test(
    `serves 20 pushes and 20 pulls at once in less than 300 MB from the ${layout} layout`,
    { skip: !existsSync('/proc/self/status') && 'needs /proc', timeout: 300_000 },
    async t => {
      const folder = t.testdir({ served: {} })
      const far = await makeRepositoryWith(join(folder, 'served/app'), [], layout)
      const near = await makeRepositoryWith(join(folder, 'near'), [], layout)
      await fill(near, 0)
      await fill(far, 100)
      const [command, ...first] = nodeCommand
      const child = spawn(command, [...first, script, join(folder, 'served')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      t.teardown(() => child.kill())
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      const url = `http://127.0.0.1:${Number(String(line))}/app`
      mkdirSync(join(folder, 'pulled'))
      const pulled = await Promise.all(
        Array.from({ length: peers }, (_, number) =>
          makeRepositoryWith(join(folder, 'pulled', String(number)), [], layout),
        ),
      )
      const pushing = Array.from({ length: peers }, async (_, number) => {
        await using remote = new RemoteObjectStore(url)
        return await push(remote, near, { ref: `tree-${number}` })
      })
      const pulling = pulled.map(async (repository, number) => {
        await using remote = new RemoteObjectStore(url)
        return await pull(remote, repository, { tag: `tree-${100 + number}` })
      })
      await Promise.all([...pushing, ...pulling])
      const peak = peakMemory(child)
      t.comment(`the server took ${Math.round(peak / 1024)} MiB at most`)
      t.ok(peak < mostMemoryKiB, `${peak} KiB`)
      child.kill()
      await once(child, 'exit')

      const served = await openRepository(far.root)
      for (let number = 0; number < peers; number++) {
        const tag = `tree-${number}`
        t.same(await served.tags.get(tag), await near.tags.get(tag))
        const pulledTag = `tree-${100 + number}`
        const copy = pulled[number]
        if (copy === undefined) continue
        t.same(await copy.tags.get(pulledTag), await far.tags.get(pulledTag))
        t.same(await findings(copy), [])
      }
      t.same(await findings(served), [])
    },
  )
}
