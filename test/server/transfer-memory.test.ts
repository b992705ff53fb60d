import { join } from 'node:path'
import t from 'tap'
import { digestBytes } from '../../lib/object/digest.js'
import { createServer } from '../../server/cairn-server.js'
import type { LogEntry } from '../../server/log-entry.js'
import {
  fileEntry,
  forge,
  forgeApplication,
  forgeDirectory,
  forgeHeader,
} from '../support/forged-peer.js'
import { makeRepositoryWith } from '../support/golden-repository.js'
import { openRawPush } from '../support/raw-push.js'

const header = forgeHeader()
const file = forge('file', Buffer.from('content'))
const target = '/app?service=receive-objects&tag=pushed'
const mebibyte = 1024 * 1024

/** A tree of one directory with many files that nobody has. */
function wideTree(count: number) {
  const names = Array.from({ length: count }, (_, index) =>
    String(index).padStart(8, '0'),
  )
  const directory = forgeDirectory(names.map(name => fileEntry(name, header, file)))
  const { payload } = directory
  const bytes = digestBytes(file.descriptor.digest)
  // Another digest in each entry, without the time that digesting files would take.
  let entry = 0
  for (let at = payload.indexOf(bytes); at !== -1; at = payload.indexOf(bytes, at + 1)) {
    payload.writeUInt32LE(entry++, at + 1)
  }
  const { subObjectCount, subObjectsSize } = directory.descriptor
  const wide = forge('directory', payload, { subObjectCount, subObjectsSize })
  return { root: forgeApplication(header, wide), objects: [wide, header] }
}

t.test('lets all pushes together take no more memory than they may', async t => {
  const folder = t.testdir()
  const repository = await makeRepositoryWith(join(folder, 'app'))
  const log: LogEntry[] = []
  await using server = createServer({
    root: folder,
    logger: entry => void log.push(entry),
    transferMemory: { bytes: 32 * mebibyte, waitMs: 100 },
  })
  const { port } = await server.listen()
  const { root, objects } = wideTree(25_000)
  const served = [root, ...objects]
  // Each holds some 8 MiB for what it does not send; there is room for four.
  const pushes = await Promise.all(
    Array.from({ length: 6 }, async () => openRawPush(port, target, root)),
  )
  const outcomes = await Promise.all(pushes.map(async push => push.serve(served)))
  t.ok(outcomes.includes('closed'), 'some are refused')
  t.ok(outcomes.includes('unserved'), 'some go on')
  for (const push of pushes) await push[Symbol.asyncDispose]()
  const codes = log.map(({ code }) => code)
  t.ok(codes.includes('limit_exceeded'))

  const small = forgeDirectory([fileEntry('f', header, file)])
  const honest = forgeApplication(header, small)
  await using push = await openRawPush(port, target, honest)
  t.equal(await push.serve([honest, small, header, file]), 'done')
  t.equal((await repository.tags.get('pushed')).digest, honest.descriptor.digest)
})

t.test('refuses one push that takes more than half of it', async t => {
  const folder = t.testdir()
  await makeRepositoryWith(join(folder, 'app'))
  const log: LogEntry[] = []
  await using server = createServer({
    root: folder,
    logger: entry => void log.push(entry),
    transferMemory: { bytes: 8 * mebibyte },
  })
  const { port } = await server.listen()
  const { root, objects } = wideTree(25_000)
  await using push = await openRawPush(port, target, root)
  t.equal(await push.serve([root, ...objects]), 'closed')
  t.match(log.at(-1), { code: 'limit_exceeded', error: /takes too much memory/ })
})
