import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CairnError } from '../../lib/errors.js'
import { openRepository } from '../../lib/repository/open.js'
import { makeDevice, makeFifo, makeSocket } from '../../lib/system/special-file.js'
import { makePackedRepository, storeFiles } from '../support/packed-repository.js'

const kinds: Readonly<Record<string, (path: string) => void>> = {
  'a fifo': path => makeFifo(Buffer.from(path)),
  'a folder': path => mkdirSync(path),
  'a symbolic link': path => symlinkSync('elsewhere', path),
  'a socket': path => makeSocket(Buffer.from(path)),
  'a device': path => makeDevice(Buffer.from(path), 'char', 0x103),
}

// What the kernel itself does away with where a session begins is no obstacle.
const places = [
  'config',
  'gate',
  'gc.lock',
  'remotes.json',
  'sessions/counter',
  'sessions/7',
  'sessions/unborn',
  'refs/tags/one',
  'logs/tags/one',
  'packs/0000.pack',
  'packs/multi',
  'packs/condemned',
]

/** Everything that opens a file of a repository; tells what was refused. */
async function useAll(root: string): Promise<CairnError[]> {
  const refusals: CairnError[] = []
  const attempt = async (action: () => Promise<unknown>): Promise<void> => {
    try {
      await action()
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      refusals.push(error)
    }
  }
  await attempt(async () => {
    using repository = await openRepository(root, { access: 'read' })
    const one = await repository.tags.list()
    await attempt(async () => repository.sweep())
    await attempt(async () => repository.sessions())
    await attempt(async () => storeFiles(repository, ['one more'], 'two'))
    await attempt(async () => repository.tags.log('one'))
    await attempt(async () => repository.remotes.list())
    await attempt(async () => repository.gc({ now: Date.now(), grace: 0 }))
    const [tag] = one
    if (tag) await attempt(async () => repository.tags.set('one', tag.descriptor))
    await attempt(async () => repository.tags.remove('one'))
  })
  return refusals
}

t.test('names what is no regular file, and waits for none', async t => {
  for (const place of places) {
    for (const [found, plant] of Object.entries(kinds)) {
      const folder = t.testdir()
      const made = await makePackedRepository(folder)
      await storeFiles(made, ['one'], 'one')
      made[Symbol.dispose]()
      const path = join(made.root, place)
      rmSync(path, { force: true })
      plant(path)
      if (place !== 'config') {
        using repository = await openRepository(made.root)
        const findings: string[] = []
        for await (const { kind, where, message } of repository.check()) {
          if (where === path && kind === 'irregular-file') findings.push(message)
        }
        t.same(findings, [`expected a regular file, found ${found}`], `${place} ${found}`)
      }
      const refusals = await useAll(made.root)
      const named = refusals.filter(({ facts }) => facts['path'] === path)
      for (const { facts } of named) {
        t.match(facts, { expected: 'a regular file', found }, `${place} ${found}`)
      }
      // What lies in the way of a new session's file is removed, unless it is a folder;
      // what lies among the packs is passed over, as any that cannot be read.
      const isPassedOver =
        (place === 'sessions/unborn' && found !== 'a folder') ||
        place.startsWith('packs/')
      t.equal(named.length > 0, !isPassedOver, `${place}: ${found} is refused`)
    }
  }
})

t.test('refuses a folder of the repository that is none', async t => {
  for (const place of ['sessions', 'refs/tags', 'temp', 'logs/tags', 'packs']) {
    const folder = t.testdir()
    const made = await makePackedRepository(folder)
    await storeFiles(made, ['one'], 'one')
    made[Symbol.dispose]()
    const path = join(made.root, place)
    rmSync(path, { recursive: true, force: true })
    makeFifo(Buffer.from(path))
    const refusals = await useAll(made.root)
    t.ok(
      refusals.some(({ message }) => message.includes(path)),
      place,
    )
  }
})
