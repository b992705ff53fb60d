import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { CairnError } from '../../lib/errors.js'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { createBundle } from '../../lib/remote/create-bundle.js'
import { importBundle } from '../../lib/remote/import-bundle.js'
import { pull } from '../../lib/remote/pull.js'
import { push } from '../../lib/remote/push.js'
import { RemoteObjectStore } from '../../lib/remote/remote-object-store.js'
import { openRepository } from '../../lib/repository/open.js'
import type { Repository } from '../../lib/repository/repository.js'
import { isErrno } from '../../lib/system/errno.js'
import { checkout } from '../../lib/tree/checkout/checkout.js'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import { createServer } from '../../server/cairn-server.js'
import {
  makePackedRepository,
  problemsOf,
  storeFiles,
} from '../support/packed-repository.js'
import { cairn } from '../support/run-cairn.js'
import { makeRepository } from '../support/scratch-repository.js'
import { cannotMount, withSmallFilesystem } from '../support/small-filesystem.js'
import { noise } from '../support/stored-objects.js'

// Every command on a filesystem with next to no room: it works, or says so and leaves
// everything as it was, and a collection finds room all the same.

const all = [0, 4096, 40 * 1024, 400 * 1024]
const isLong = process.env['CAIRN_TEST_LONG'] !== undefined
const levels = { pack: all, loose: isLong ? all : [0, 40 * 1024] }
const size = '6m'

/** Two repositories with a tree each: one on the small filesystem, one beside it. */
type Place = {
  readonly t: Test
  readonly folder: string
  readonly full: Repository
  readonly other: Repository
  readonly tree: Descriptor
  readonly theirs: Descriptor
}

/** A command; undefined when it had no room, and said so. */
type Action = (place: Place) => Promise<unknown>

const layouts = {
  pack: makePackedRepository,
  loose: async (folder: string) => makeRepository(folder),
}

function eachLevel(name: string, action: Action): void {
  t.test(`${name} without room loses nothing`, { skip: cannotMount }, async t => {
    for (const layout of ['pack', 'loose'] as const) {
      for (const level of levels[layout]) await onFullDisk(t, { layout, level }, action)
    }
  })
}

async function onFullDisk(
  t: Test,
  { layout, level }: { layout: 'pack' | 'loose'; level: number },
  action: Action,
): Promise<void> {
  const beside = join(t.testdir({ [`${layout}-${level}`]: {} }), `${layout}-${level}`)
  const other = await makePackedRepository(beside)
  const theirs = await storeFiles(other, [noise(500_000, 8), noise(900, 9)], 'theirs')
  const what = `${layout}, ${level} bytes free`
  await withSmallFilesystem(beside, size, async folder => {
    const full = await layouts[layout](folder)
    const tree = await storeFiles(full, [noise(100_000, 1), noise(900, 2)], 'tag')
    await storeFiles(full, [noise(600_000, 3), noise(900, 4)])
    fill(join(folder, 'filler'), level)
    try {
      await action({ t, folder, full, other, tree, theirs })
      t.pass(`${what}: done`)
    } catch (error) {
      t.ok(isFull(error), `${what}: ${String(error)}`)
    }
    using after = await openRepository(full.root)
    t.same(await problemsOf(after), [], what)
    t.same(await after.tags.get('tag'), tree, what)
    const { freedBytes } = await after.gc({ grace: 0, window: 0, wait: 2000 })
    t.ok(freedBytes > 500_000, `${what}: a collection freed ${freedBytes} bytes`)
    using collected = await openRepository(full.root)
    t.same(await problemsOf(collected), [], what)
    t.same(readdirSync(join(full.root, 'temp')), [], what)
    rmSync(join(folder, 'filler'))
    await storeFiles(collected, [noise(300_000, 5)], 'later')
  })
}

/** Takes all room but so many bytes. */
function fill(path: string, left: number): void {
  const fd = openSync(path, 'w')
  let taken = 0
  try {
    for (const piece of [65_536, 4096]) {
      const bytes = Buffer.alloc(piece, 1)
      for (let hasRoom = true; hasRoom; ) {
        try {
          taken += writeSync(fd, bytes)
        } catch (error) {
          if (!isErrno(error, 'ENOSPC')) throw error
          hasRoom = false
        }
      }
    }
  } finally {
    closeSync(fd)
  }
  truncateSync(path, taken - left)
}

function isFull(error: unknown): boolean {
  if (error instanceof CairnError && error.code === 'storage_full') return true
  // Errors that wrap it say so by their cause.
  return error instanceof Error && error.cause !== undefined && isFull(error.cause)
}

eachLevel('init', async ({ folder }) => {
  try {
    mkdirSync(join(folder, 'more'))
    await makePackedRepository(join(folder, 'more'))
  } finally {
    rmSync(join(folder, 'more'), { recursive: true, force: true })
  }
})

eachLevel('store', async ({ full }) => {
  await using session = await full.begin({ purpose: 'store', publishing: 'gradual' })
  const source = new URL('../../cli', import.meta.url).pathname
  const { descriptor } = await storeApplication(source, session.objects)
  await session.objects.publish([descriptor.digest])
  await full.tags.set('stored', descriptor)
})

eachLevel('pull', async ({ t, full, other, theirs }) => {
  await using server = createServer({ root: other.root })
  const { port } = await server.listen()
  await using remote = new RemoteObjectStore(`http://127.0.0.1:${port}`)
  await pull(remote, full, { tag: 'theirs' })
  t.same(await full.tags.get('theirs'), theirs)
})

eachLevel('a push into it', async ({ t, full, other, theirs }) => {
  const errors: string[] = []
  await using server = createServer({
    root: full.root,
    logger: ({ code }) => void (code !== undefined && errors.push(code)),
  })
  const { port } = await server.listen()
  await using remote = new RemoteObjectStore(`http://127.0.0.1:${port}`)
  try {
    await push(remote, other, { ref: 'theirs' })
    t.same(await full.tags.get('theirs'), theirs)
  } catch {
    await server.close()
    t.ok(
      errors.length > 0 && errors.every(code => code === 'storage_full'),
      errors.join(' '),
    )
  }
})

eachLevel('tag set', async ({ full, tree }) => full.tags.set('another', tree))

eachLevel('migrate', async ({ full }) => {
  using opened = await openRepository(full.root)
  const layout = opened.config.layout === 'pack' ? 'loose' : 'pack'
  await opened.migrate({ layout })
})

eachLevel('bundle import', async ({ t, full, other, theirs }) => {
  const { bytes } = await createBundle(other, ['theirs'])
  await importBundle(Readable.from(bytes), full, { where: 'test', tagPrefix: '' })
  t.same(await full.tags.get('theirs'), theirs)
})

eachLevel('checkout', async ({ folder, other, theirs }) => {
  const out = join(folder, 'out')
  mkdirSync(out)
  try {
    await checkout(other.objects, { application: theirs.digest }, out)
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
})

t.test('commands say in one line that there is no room', { skip: cannotMount }, async t =>
  withSmallFilesystem(t.testdir(), '2m', async folder => {
    const repo = join(folder, 'repo')
    await cairn(['init'], { repo })
    fill(join(folder, 'filler'), 100_000)
    const run = await cairn(['store', join(process.cwd(), 'dist/lib'), '-q'], { repo })
    t.equal(run.code, 8)
    t.match(run.stderr, /^cairn: no room for .*\n$/)
    t.equal((await cairn(['gc', '--now', '-q'], { repo })).code, 0)
  }),
)
