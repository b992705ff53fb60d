import t from 'tap'
import { ObjectNotFoundError, WrongObjectTypeError } from '../../lib/errors.js'
import { parseDigest } from '../../lib/object/digest.js'
import { MemoryStore } from '../../lib/store/memory-store.js'
import {
  getApplication,
  getDirectory,
  getHeader,
  putApplication,
  putDirectory,
  putHeader,
} from '../../lib/store/typed-object.js'
import { algorithmNamed } from '../support/object-store-contract.js'
import { plainHeader } from '../support/sample-tree.js'

t.test('gives back what was put, by type', async t => {
  const store = new MemoryStore()
  const algorithm = algorithmNamed('blake3')
  await using session = await store.begin({ algorithm, folder: '', publishing: 'whole' })
  const header = plainHeader(0o644)
  const headerLink = await putHeader(session, header)
  const directory = [
    { kind: 'fifo' as const, name: Buffer.from('pipe'), header: headerLink },
  ]
  const directoryLink = await putDirectory(session, directory)
  t.match(directoryLink, { subObjectCount: 1, subObjectsSize: BigInt(headerLink.size) })
  const application = { rootHeader: headerLink, rootDirectory: directoryLink }
  const descriptor = await putApplication(session, application)
  t.match(descriptor, { type: 'application', subObjectCount: 3 })
  await session.publish([descriptor.digest])

  t.same(await getHeader(store, headerLink.digest), header)
  t.same(await getDirectory(store, directoryLink.digest), directory)
  t.same(await getApplication(store, descriptor.digest), application)

  await t.rejects(getDirectory(store, headerLink.digest), WrongObjectTypeError)
  await t.rejects(getHeader(store, descriptor.digest), WrongObjectTypeError)
  const absent = parseDigest(`0a${'00'.repeat(32)}`)
  await t.rejects(getApplication(store, absent), ObjectNotFoundError)
})
