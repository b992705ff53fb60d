import { join } from 'node:path'
import { getuid } from 'node:process'
import t from 'tap'
import { findAlgorithmById } from '../../lib/object/algorithm.js'
import { HashingSession } from '../../lib/tree/hashing-session.js'
import { storeApplication } from '../../lib/tree/store-application.js'
import { loadGoldenTree, makeGoldenTree } from '../support/golden-tree.js'

const skip = getuid?.() === 0 ? false : 'needs root for owners'
const algorithm = findAlgorithmById(5)
if (algorithm === undefined) throw new Error('no algorithm 5')

t.test('digests the recorded tree as the original program does', { skip }, async t => {
  const golden = loadGoldenTree()
  const folder = join(t.testdir(), 'tree')
  makeGoldenTree(golden.manifest, folder)
  await using session = new HashingSession(algorithm)
  const { descriptor } = await storeApplication(folder, session, { version1: true })
  t.same(descriptor, golden.application)
  const metadata = golden.objects.filter(object => object.type !== 'file')
  const found = await session.read(metadata.map(object => object.digest))
  for (const [index, object] of metadata.entries()) {
    t.equal(found[index]?.type, object.type)
    t.same(found[index]?.payload, object.payload, object.digest)
  }
})
