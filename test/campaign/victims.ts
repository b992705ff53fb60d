import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { Digest } from '../../lib/object/digest.js'
import type { StoreLayout } from '../../lib/repository/config.js'
import { initRepository } from '../../lib/repository/init.js'
import { openRepository } from '../../lib/repository/open.js'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import { startServer } from '../support/run-cairn.js'

// The commands that the campaigns kill, fail and cut the power of. A new one is one entry.

/** A command, and the repository that it works on. */
export type Victim = {
  readonly name: string
  /** Whether it counts on a journal, which keeps names in the order they were given. */
  readonly needsOrderedNames?: true
  /** Whether it finds a damaged repository, which is whole when it is done. */
  readonly isDamaged?: true
  /** Makes the repository at `root`, and what else is needed in `folder`. */
  readonly prepare: (folder: string, root: string) => Promise<Scene>
}

/** A repository to run the command on; disposing ends what it needs. */
type Scene = AsyncDisposable & {
  /** Without the repository. */
  readonly args: readonly string[]
}

/** Digest by tag: what somebody was told to be kept. */
export type Tags = ReadonlyMap<string, Digest>

export const victims: readonly Victim[] = [
  {
    name: 'store',
    prepare: async (folder, root) => {
      await initialize(root, 'pack')
      await storeTree(root, makeTree(folder, 'old'), 'tree')
      return scene(['store', makeTree(folder, 'new'), '-t', 'tree'])
    },
  },
  {
    name: 'store into many packs',
    prepare: async (folder, root) => {
      await initialize(root, 'pack')
      for (let number = 0; number < 16; number++) {
        await storeTree(root, makeTree(folder, `old-${number}`, 4), `tree-${number}`)
      }
      return scene(['store', makeTree(folder, 'new'), '-t', 'tree'])
    },
  },
  {
    name: 'store into loose objects',
    needsOrderedNames: true,
    prepare: async (folder, root) => {
      await initialize(root, 'loose')
      await storeTree(root, makeTree(folder, 'old', 6), 'tree')
      return scene(['store', makeTree(folder, 'new', 12), '-t', 'tree'])
    },
  },
  {
    name: 'pull',
    prepare: async (folder, root) => {
      const far = join(folder, 'far')
      await initialize(root, 'pack')
      await initialize(far, 'pack')
      const old = makeTree(folder, 'old')
      await storeTree(root, old, 'tree')
      await storeTree(far, makeTree(folder, 'new'), 'tree')
      const server = await startServer(['--root', far, '--read-only'])
      return {
        args: ['pull', server.url, 'tree'],
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      }
    },
  },
  {
    name: 'gc',
    prepare: async (folder, root) => {
      await makeGarbage(folder, root, 'pack')
      return scene(['gc', '--now', '--window', '0'])
    },
  },
  {
    name: 'gc that puts into the trash',
    prepare: async (folder, root) => {
      await makeGarbage(folder, root, 'pack')
      return scene(['gc', '--window', '0'])
    },
  },
  {
    name: 'gc of loose objects',
    needsOrderedNames: true,
    prepare: async (folder, root) => {
      await makeGarbage(folder, root, 'loose')
      return scene(['gc', '--now', '--window', '0'])
    },
  },
  {
    name: 'tag',
    prepare: async (folder, root) => {
      await initialize(root, 'pack')
      await storeTree(root, makeTree(folder, 'old'), 'tree')
      await storeTree(root, makeTree(folder, 'new'), 'other')
      return scene(['tag', 'set', 'tree', 'other'])
    },
  },
  {
    name: 'repair',
    isDamaged: true,
    prepare: async (folder, root) => damaged(folder, root, 'pack'),
  },
  {
    name: 'repair of loose objects',
    needsOrderedNames: true,
    isDamaged: true,
    prepare: async (folder, root) => damaged(folder, root, 'loose'),
  },
  {
    name: 'migrate to loose objects',
    prepare: async (folder, root) => moving(folder, root, ['pack', 'loose']),
  },
  {
    name: 'migrate to packs',
    prepare: async (folder, root) => moving(folder, root, ['loose', 'pack']),
  },
]

/** What the tags of a repository name. */
export async function tagsOf(root: string): Promise<Tags> {
  using repository = await openRepository(root)
  const tags = await repository.tags.list()
  return new Map(tags.map(({ name, descriptor }) => [name, descriptor.digest]))
}

function scene(args: readonly string[]): Scene {
  return { args, [Symbol.asyncDispose]: async () => {} }
}

async function initialize(root: string, layout: StoreLayout): Promise<void> {
  const algorithm = findAlgorithmByName('blake3')
  if (algorithm === undefined) throw new Error('no algorithm blake3')
  using _ = await initRepository(root, { algorithm, layout, compression: 'none' })
}

async function storeTree(root: string, tree: string, tag?: string): Promise<void> {
  using repository = await openRepository(root)
  await using session = await repository.begin({
    purpose: 'store',
    publishing: 'gradual',
  })
  const { descriptor } = await storeApplication(tree, session.objects, {})
  await session.objects.publish([descriptor.digest])
  if (tag !== undefined) await repository.tags.set(tag, descriptor)
}

/** Two states of a tree, and what no tag names. */
async function moving(
  folder: string,
  root: string,
  [from, to]: readonly [StoreLayout, StoreLayout],
): Promise<Scene> {
  await initialize(root, from)
  await storeTree(root, makeTree(folder, 'old', 6), 'tree')
  await storeTree(root, makeTree(folder, 'new', 12), 'tree')
  await storeTree(root, makeTree(folder, 'lost', 6))
  return scene(['migrate', '--layout', to])
}

/** A content, an index and a log are damaged; another repository has what is needed. */
async function damaged(
  folder: string,
  root: string,
  layout: StoreLayout,
): Promise<Scene> {
  const whole = join(folder, 'whole')
  const tree = makeTree(folder, 'tree', 12)
  for (const place of [root, whole]) {
    await initialize(place, layout)
    await storeTree(place, makeTree(folder, 'old', 6), 'tree')
    await storeTree(place, tree, 'tree')
  }
  flip(join(root, 'logs/tags/tree'), () => 9)
  const files = ['packs', 'objects']
    .flatMap(name => filesBelow(join(root, name)))
    .filter(path => readFileSync(path).includes('tree 11'))
  for (const path of files) flip(path, bytes => bytes.indexOf('tree 11'))
  const [pack] = filesBelow(join(root, 'packs')).filter(path => !files.includes(path))
  if (pack !== undefined) flip(pack, bytes => bytes.length - 3)
  return scene(['repair', '--from', whole])
}

function flip(path: string, place: (bytes: Buffer) => number): void {
  const bytes = readFileSync(path)
  const at = place(bytes)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(path, bytes)
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder) || !lstatSync(folder).isDirectory()) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(path => lstatSync(path).isFile())
}

/** One pack wholly dead, one in half, one alive. */
async function makeGarbage(
  folder: string,
  root: string,
  layout: StoreLayout,
): Promise<void> {
  await initialize(root, layout)
  const files = layout === 'pack' ? 40 : 6
  await storeTree(root, makeTree(folder, 'kept', files), 'kept')
  await storeTree(root, makeTree(folder, 'lost', files))
  const half = makeTree(folder, 'half', files)
  await storeTree(root, half)
  await storeTree(root, join(half, 'd1'), 'part')
}

/** A folder of files of which every third is in all trees, and one fills pages. */
function makeTree(folder: string, name: string, files = 40): string {
  const root = join(folder, name)
  for (let index = 0; index < files; index++) {
    const place = join(root, `d${index % 4}`)
    mkdirSync(place, { recursive: true })
    const owner = index % 3 === 0 ? 'all' : name
    writeFileSync(join(place, `f${index}`), `${owner} ${index}\n`.repeat(1 + index * 4))
  }
  writeFileSync(join(root, 'd1', 'large'), `${name}\n`.repeat(6000))
  return root
}
