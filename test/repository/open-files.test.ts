import { readdirSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { Digest } from '../../lib/object/digest.js'
import { openRepository } from '../../lib/repository/open.js'
import { makePackedRepository, storeFiles } from '../support/packed-repository.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const openFiles = (): number => readdirSync('/proc/self/fd').length

async function readOne(root: string, digest: Digest): Promise<void> {
  using repository = await openRepository(root)
  await repository.objects.read([digest])
}

// Of its own, so that nothing on the caller's stack keeps the repository.
async function readAndForget(root: string, digest: Digest): Promise<void> {
  const repository = await openRepository(root)
  await repository.objects.read([digest])
}

t.test('a disposed repository keeps no file open', async t => {
  using repository = await makePackedRepository(t.testdir())
  const { digest } = await storeFiles(repository, ['content'], 'tag')
  await readOne(repository.root, digest)
  const before = openFiles()
  for (let turn = 0; turn < 20; turn++) await readOne(repository.root, digest)
  t.equal(openFiles(), before)
})

t.test('disposing a repository twice is harmless', async t => {
  const repository = await makePackedRepository(t.testdir())
  repository[Symbol.dispose]()
  repository[Symbol.dispose]()
})

t.test('a stream goes on when its repository is disposed', async t => {
  const repository = await makePackedRepository(t.testdir())
  const { digest } = await storeFiles(repository, ['content'], 'tag')
  const stream = await repository.objects.open(digest)
  repository[Symbol.dispose]()
  let bytes = 0
  for await (const chunk of stream) bytes += chunk.length
  t.equal(bytes, stream.size)
})

t.test('a repository that nobody holds any more lets go of its files', async t => {
  using repository = await makePackedRepository(t.testdir())
  const { digest } = await storeFiles(repository, ['content'], 'tag')
  await readOne(repository.root, digest)
  const before = openFiles()
  for (let turn = 0; turn < 20; turn++) await readAndForget(repository.root, digest)
  // A collector's callbacks come in turns of their own, after it has run.
  for (let turn = 0; turn < 100 && openFiles() > before; turn++) {
    collectGarbage()
    await setImmediate()
  }
  t.ok(openFiles() <= before, `${openFiles()} open files, ${before} before`)
})
