import t from 'tap'
import { algorithmOf } from '../../lib/object/digest.js'
import { MemoryStore } from '../../lib/store/memory-store.js'
import { getApplication } from '../../lib/store/typed-object.js'
import { diffTrees } from '../../lib/tree/diff.js'
import { rehashApplication } from '../../lib/tree/rehash.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { algorithmNamed, TreeBuilder } from '../support/tree-builder.js'

t.test('gives the same tree under another algorithm', async t => {
  const builder = new TreeBuilder('blake3')
  const deep = builder.folder('deep', [builder.file('big', Buffer.alloc(600_000))])
  const parents = [builder.tree([]).digest]
  const { digest } = builder.tree(
    [
      deep,
      { ...deep, name: Buffer.from('again') },
      builder.symlink('l', 'x'),
      builder.file('a', '1'),
      builder.file('b', '1'),
    ],
    { hardLinks: [[5, 6]], parents, created: 5n },
  )
  for (const name of ['sha512', 'sha512-256'] as const) {
    const store = new MemoryStore()
    const algorithm = algorithmNamed(name)
    const options = { algorithm, folder: '/nonexistent', publishing: 'gradual' } as const
    await using session = await store.begin(options)
    const seen: number[] = []
    const copy = await rehashApplication(builder.store, digest, session, {
      algorithm,
      onProgress: ({ objects }) => seen.push(objects),
    })
    await session.publish([copy.digest])
    t.equal(algorithmOf(copy.digest).name, name)
    const application = await getApplication(store, copy.digest)
    t.same(application.extension, { hardLinks: [[5, 6]], created: 5n })
    t.ok(seen.length > 0)

    const before = await resolveTreePath(builder.store, digest)
    const after = await resolveTreePath(store, copy.digest)
    for await (const changes of diffTrees(builder.store, before, store, after)) {
      t.same(changes, [])
    }
  }
})

t.test('copies a tree that names one folder very often in no time', async t => {
  const builder = new TreeBuilder('blake3')
  let folder = builder.folder('a', [builder.file('f', 'x')])
  for (let level = 0; level < 25; level++) {
    folder = builder.folder('a', [folder, { ...folder, name: Buffer.from('b') }])
  }
  const { digest } = builder.tree([folder])
  const store = new MemoryStore()
  const algorithm = algorithmNamed('sha256')
  await using session = await store.begin({
    algorithm,
    folder: '/nonexistent',
    publishing: 'gradual',
  })
  const copy = await rehashApplication(builder.store, digest, session, { algorithm })
  t.equal(algorithmOf(copy.digest).name, 'sha256')
})
