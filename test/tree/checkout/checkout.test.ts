import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findAlgorithmByName } from '../../../lib/object/algorithm.js'
import { MemoryStore } from '../../../lib/store/memory-store.js'
import { checkout } from '../../../lib/tree/checkout/checkout.js'
import { storeApplication } from '../../../lib/tree/source/store-application.js'

t.test('gives back the content that was stored', async t => {
  const folder = t.testdir({ source: { a: 'hello', sub: { b: 'there' } } })
  const store = new MemoryStore()
  const algorithm = findAlgorithmByName('blake3')
  if (algorithm === undefined) throw new Error('no blake3')
  await using session = await store.begin({ algorithm, folder, publishing: 'gradual' })
  const { descriptor } = await storeApplication(join(folder, 'source'), session)
  await session.publish([descriptor.digest])

  const target = join(folder, 'out')
  const report = await checkout(store, { application: descriptor.digest }, target)
  t.same(report, { entries: 4, files: 2, bytes: 10, leftOut: [] })
  t.equal(readFileSync(join(target, 'sub/b'), 'utf8'), 'there')
})
