import { join } from 'node:path'
import { getuid } from 'node:process'
import t from 'tap'
import { encodeDescriptor } from '../../../lib/object/descriptor.js'
import { objectTypeByte } from '../../../lib/object/object-type.js'
import { loadGoldenTree, makeGoldenTree } from '../../support/golden-tree.js'
import { storeInMemory } from '../../support/stored-tree.js'

const skip = getuid?.() === 0 ? false : 'needs root for owners'

t.test('stores the recorded tree as the original program does', { skip }, async t => {
  const golden = loadGoldenTree()
  const folder = join(t.testdir(), 'tree')
  makeGoldenTree(golden.manifest, folder)
  const { store, descriptor } = await storeInMemory(folder, { version1: true })
  t.same(descriptor, golden.application)
  t.same(encodeDescriptor(descriptor), golden.tagFile, 'what the tag file holds')
  const found = new Set<string>()
  for await (const digests of store.list())
    for (const digest of digests) found.add(digest)
  t.same([...found].toSorted(), golden.objects.map(object => object.digest).toSorted())
  for (const object of golden.objects) {
    const [{ type, payload } = { type: 'file' as const, payload: Buffer.alloc(0) }] =
      await store.read([object.digest])
    const bytes = Buffer.concat([Buffer.from([objectTypeByte(type)]), payload])
    t.ok(bytes.equals(object.bytes), `${object.type} ${object.digest}`)
  }
})
