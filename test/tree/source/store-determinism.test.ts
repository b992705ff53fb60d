import {
  chmodSync,
  linkSync,
  mkdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { umask } from 'node:process'
import t from 'tap'
import type { Digest } from '../../../lib/object/digest.js'
import { dependenciesOf } from '../../../lib/object/received-object.js'
import type { NewObject, StoreSession } from '../../../lib/store/object-store.js'
import { storeApplication } from '../../../lib/tree/source/store-application.js'
import { makeMemoryFolder, removeFolder } from '../../support/source-folder.js'
import { beginInMemory, storeInMemory } from '../../support/stored-tree.js'

const names = ['Zeta', '_under', 'alpha', '~tilde', '\uFFFD', '\u{10000}', 'é', 'e\u0301']

/** Makes one and the same tree, in any order. */
function makeTree(folder: string, order: readonly string[]): void {
  for (const name of order) {
    mkdirSync(join(folder, name))
    for (const inner of order) {
      writeFileSync(join(folder, name, inner), `${name} ${inner}`)
      chmodSync(join(folder, name, inner), 0o640)
    }
    writeFileSync(join(folder, `${name}.file`), name)
    chmodSync(join(folder, `${name}.file`), 0o604)
    symlinkSync(name, join(folder, `${name}.link`))
  }
  const second = order.toSorted()
  linkSync(join(folder, `${second[0]}.file`), join(folder, 'again'))
  for (const name of order) {
    for (const inner of order) utimesSync(join(folder, name, inner), 1, 2)
    utimesSync(join(folder, `${name}.file`), 3, 4)
    chmodSync(join(folder, name), 0o751)
    utimesSync(join(folder, name), 5, 6)
  }
  chmodSync(folder, 0o700)
}

t.test('gives one tree one digest, wherever and however it was made', async t => {
  const one = t.testdir({ 'a longer path': {} })
  const other = makeMemoryFolder()
  t.teardown(() => removeFolder(other))
  makeTree(join(one, 'a longer path'), names)
  const before = umask(0o077)
  t.teardown(() => umask(before))
  makeTree(other, names.toReversed())
  const { descriptor, entries } = await storeInMemory(join(one, 'a longer path'))
  t.same((await storeInMemory(other)).descriptor, descriptor)
  t.same((await storeInMemory(other)).descriptor, descriptor, 'again')
  t.same(
    [...entries.keys()].filter(path => names.includes(path)),
    names.toSorted((first, second) =>
      Buffer.compare(Buffer.from(first), Buffer.from(second)),
    ),
    'in order of bytes',
  )
})

t.test('hands objects over in batches, children before parents', async t => {
  const folder = t.testdir({})
  for (let index = 0; index < 300; index++) {
    mkdirSync(join(folder, `folder ${index}/inner`), { recursive: true })
    writeFileSync(join(folder, `folder ${index}/inner/file`), String(index))
  }
  await using session = await beginInMemory()
  const batches: number[] = []
  const orphans: string[] = []
  const { stats } = await storeApplication(folder, watch(session, batches, orphans))
  t.same(orphans, [])
  t.equal(stats.entries, 901)
  const objects = batches.reduce((sum, count) => sum + count, 0)
  t.ok(objects >= 900)
  t.ok(batches.length < 20, `${batches.length} batches for ${objects} objects`)
  t.ok(Math.max(...batches) < 1000)
})

/** The same session, which counts batches and knows what was there before each object. */
function watch(
  session: StoreSession,
  batches: number[],
  orphans: string[],
): StoreSession {
  const known = new Set<Digest>()
  return {
    algorithm: session.algorithm,
    has: digests => session.has(digests),
    stat: digests => session.stat(digests),
    find: digest => session.find(digest),
    stream: object => session.stream(object),
    publish: roots => session.publish(roots),
    async put(batch: readonly NewObject[]) {
      batches.push(batch.length)
      const links = await session.put(batch)
      for (const [index, { type, payload }] of batch.entries()) {
        for (const { digest } of dependenciesOf(type, payload, 'strict')) {
          if (!known.has(digest)) orphans.push(digest)
        }
        const { digest } = links[index] ?? {}
        if (digest !== undefined) known.add(digest)
      }
      return links
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  }
}
