import t from 'tap'
import type { ClosureProblem } from '../../lib/closure/closure-problem.js'
import { walkClosure } from '../../lib/closure/closure-walk.js'
import {
  CorruptObjectError,
  IncompleteClosureError,
  InvalidObjectError,
  WrongObjectTypeError,
} from '../../lib/errors.js'
import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { type Digest, parseDigest } from '../../lib/object/digest.js'
import { directoryDescriptor } from '../../lib/object/directory.js'
import { dependenciesOf } from '../../lib/object/received-object.js'
import { MemoryStore } from '../../lib/store/memory-store.js'
import type { ObjectReader, StoreSession } from '../../lib/store/object-store.js'
import {
  putDoublingTree,
  putFile,
  putNestedTree,
  putSampleTree,
} from '../support/sample-tree.js'

const orders = ['parents-first', 'children-first'] as const
const algorithm = findAlgorithmByName('blake3')

async function storeOf<Root>(
  build: (session: StoreSession) => Promise<Root>,
): Promise<{ store: MemoryStore; root: Root }> {
  if (algorithm === undefined) throw new Error('no blake3')
  const store = new MemoryStore()
  await using session = await store.begin({ algorithm, folder: '', publishing: 'whole' })
  const root = await build(session)
  await session.publish([])
  return { store, root }
}

async function walked(batches: AsyncIterable<readonly Descriptor[]>) {
  const found: Descriptor[] = []
  for await (const batch of batches) found.push(...batch)
  return found
}

function byDigest(one: Descriptor, other: Descriptor): number {
  return one.digest < other.digest ? -1 : 1
}

/** Counts the objects that are read, and changes what is found of chosen ones. */
function tampered(
  reader: ObjectReader,
  changes: {
    missing?: readonly Digest[]
    corrupt?: readonly Digest[]
    payloads?: ReadonlyMap<Digest, Buffer>
  } = {},
): ObjectReader & { reads: number } {
  const { missing = [], corrupt = [], payloads = new Map<Digest, Buffer>() } = changes
  const counting: ObjectReader & { reads: number } = {
    reads: 0,
    has: digests => reader.has(digests),
    stat: async digests => {
      const infos = await reader.stat(digests)
      return infos.map((info, index) =>
        missing.some(digest => digest === digests[index]) ? undefined : info,
      )
    },
    read: async digests => {
      counting.reads += digests.length
      const bad = digests.find(digest => corrupt.includes(digest))
      if (bad !== undefined) throw new CorruptObjectError(`object ${bad} is corrupt`)
      const objects = await reader.read(digests)
      return objects.map(object => ({
        ...object,
        payload: payloads.get(object.digest) ?? object.payload,
      }))
    },
    open: (digest, range) => reader.open(digest, range),
  }
  return counting
}

for (const order of orders) {
  t.test(`${order}: gives each distinct object once`, async t => {
    const { store, root } = await storeOf(session => putSampleTree(session))
    const found = await walked(walkClosure(store, [root.application], { order }))
    t.same(found.toSorted(byDigest), root.objects.toSorted(byDigest))
  })

  t.test(
    `${order}: gives a root once that is named twice or lies below another`,
    async t => {
      const { store, root } = await storeOf(session => putSampleTree(session))
      const roots = [...root.objects, root.application, root.application]
      t.equal(
        (await walked(walkClosure(store, roots, { order }))).length,
        root.objects.length,
      )
    },
  )

  t.test(`${order}: walks a tree of 2^34 paths in 36 objects`, async t => {
    const { store, root } = await storeOf(session => putDoublingTree(session, 34))
    const reader = tampered(store)
    const roots = [directoryDescriptor(root)]
    // The totals that the tree names are lies, as the original program makes them.
    const found = await walked(walkClosure(reader, roots, { order }))
    t.equal(found.length, 36)
    t.equal(reader.reads, 35)
  })

  t.test(`${order}: passes over what is pruned and what only it leads to`, async t => {
    const { store, root } = await storeOf(session => putSampleTree(session))
    const inner = root.objects[5]
    const asked: Digest[] = []
    const prune = ({ digest }: Descriptor) => {
      asked.push(digest)
      return digest === inner?.digest
    }
    const roots = [root.application]
    const found = await walked(walkClosure(store, roots, { order, prune }))
    const digests = new Set(found.map(({ digest }) => digest))
    t.notOk(digests.has(inner?.digest ?? root.application.digest), 'the pruned object')
    t.notOk(digests.has(root.objects[3]?.digest ?? root.application.digest), 'below it')
    t.ok(digests.has(root.objects[2]?.digest ?? ('' as Digest)), 'reached elsewhere')
    t.equal(new Set(asked).size, asked.length, 'asked once an object')
  })

  t.test(`${order}: throws what is wrong`, async t => {
    const { store, root } = await storeOf(session => putSampleTree(session))
    const [fileHeader, , file, , , inner] = root.objects.map(({ digest }) => digest)
    if (!fileHeader || !file || !inner) throw new Error('the sample tree is too small')
    const walk = (reader: ObjectReader, descriptor = root.application) =>
      walked(walkClosure(reader, [descriptor], { order }))

    await t.rejects(walk(tampered(store, { missing: [file] })), IncompleteClosureError)
    await t.rejects(walk(tampered(store, { missing: [inner] })), IncompleteClosureError)
    await t.rejects(walk(tampered(store, { corrupt: [inner] })), CorruptObjectError)
    const payloads = new Map([[inner, Buffer.from([1, 0, 0, 0])]])
    await t.rejects(walk(tampered(store, { payloads })), InvalidObjectError)
    await t.rejects(walk(store, { ...root.application, size: 1 }), InvalidObjectError)
    await t.rejects(
      walk(store, { ...root.application, type: 'directory' }),
      WrongObjectTypeError,
    )
  })

  t.test(`${order}: tells all that is wrong and goes on, when asked`, async t => {
    const { store, root } = await storeOf(session => putSampleTree(session))
    const [fileHeader, , file, two, , inner] = root.objects.map(({ digest }) => digest)
    if (!fileHeader || !file || !two || !inner) throw new Error('no such tree')
    const walk = async (reader: ObjectReader, roots = [root.application]) => {
      const problems: ClosureProblem[] = []
      const onProblem = (problem: ClosureProblem) => void problems.push(problem)
      const found = await walked(walkClosure(reader, roots, { order, onProblem }))
      return { problems, found: found.map(({ digest }) => digest) }
    }

    const cut = await walk(tampered(store, { missing: [file, two], corrupt: [] }))
    t.same(
      cut.problems.map(({ kind }) => kind),
      ['missing', 'missing'],
    )
    t.same(new Set(cut.problems.map(one => one.descriptor.digest)), new Set([file, two]))
    t.ok(
      cut.problems.every(({ parent }) => parent !== undefined),
      'names who refers',
    )
    t.equal(cut.found.length, root.objects.length - 2)

    const corrupt = await walk(tampered(store, { corrupt: [inner] }))
    t.match(corrupt.problems, [{ kind: 'corrupt', descriptor: { digest: inner } }])
    t.notOk(corrupt.found.includes(inner))
    t.ok(corrupt.found.includes(file), 'reached elsewhere')

    const lie = { ...root.application, size: root.application.size + 1 }
    const contradicted = await walk(store, [root.application, lie])
    t.match(contradicted.problems, [{ kind: 'contradicted', parent: undefined }])
    t.equal(contradicted.found.length, root.objects.length)
  })

  t.test(`${order}: lets errors through that are no problem of the closure`, async t => {
    const { store, root } = await storeOf(session => putSampleTree(session))
    const reader: ObjectReader = {
      has: digests => store.has(digests),
      stat: digests => store.stat(digests),
      read: async () => {
        throw Object.assign(new Error('EIO: read'), { code: 'EIO' })
      },
      open: digest => store.open(digest),
    }
    const onProblem = () => t.fail('reported')
    const walk = walkClosure(reader, [root.application], { order, onProblem })
    await t.rejects(walked(walk), { code: 'EIO' })
  })

  t.test(`${order}: stops when it is aborted`, async t => {
    const { store, root } = await storeOf(session => putNestedTree(session, 2000))
    const controller = new AbortController()
    const roots = [directoryDescriptor(root)]
    const { signal } = controller
    let reads = 0
    const reader: ObjectReader = {
      has: digests => store.has(digests),
      stat: digests => store.stat(digests),
      read: async digests => {
        reads += digests.length
        if (reads === 100) controller.abort()
        return store.read(digests)
      },
      open: digest => store.open(digest),
    }
    const walk = walked(walkClosure(reader, roots, { order, signal }))
    await t.rejects(walk, { name: 'AbortError' })
    t.equal(reads, 100, 'reads no further')
  })

  t.test(`${order}: walks a directory of more entries than a batch`, async t => {
    const { store, root } = await storeOf(async session => {
      const objects: Descriptor[] = []
      for (let index = 0; index < 1500; index++) {
        const { digest, size } = await putFile(session, `file ${index}`)
        objects.push({
          type: 'file',
          digest,
          size,
          subObjectCount: 0,
          subObjectsSize: 0n,
        })
      }
      return objects
    })
    let largest = 0
    let count = 0
    for await (const batch of walkClosure(store, root, { order })) {
      largest = Math.max(largest, batch.length)
      count += batch.length
    }
    t.equal(count, 1500)
    t.ok(largest <= 256, 'in bounded batches')
  })
}

t.test('walks 100,000 levels of nesting in both orders', async t => {
  const { store, root } = await storeOf(session => putNestedTree(session, 100_000))
  for (const order of orders) {
    const roots = [directoryDescriptor(root)]
    let count = 0
    for await (const batch of walkClosure(store, roots, { order })) count += batch.length
    t.equal(count, 100_002, order)
  }
})

t.test('gives a parent before what it leads to, or after, as told', async t => {
  const { store, root } = await storeOf(session => putSampleTree(session))
  const inOrder = async (order: (typeof orders)[number]) => {
    const found = await walked(walkClosure(store, [root.application], { order }))
    return found.map(({ digest }) => digest)
  }
  const children = await inOrder('children-first')
  for (const [position, digest] of children.entries()) {
    const [object] = await store.read([digest])
    if (object === undefined) throw new Error('no object')
    for (const below of dependenciesOf(object.type, object.payload, 'strict')) {
      t.ok(children.indexOf(below.digest) < position, 'children first')
    }
  }
  const parents = await inOrder('parents-first')
  t.equal(parents[0], root.application.digest)
  t.ok(
    parents.indexOf(parseDigest(root.objects[5]?.digest ?? '')) <
      parents.indexOf(parseDigest(root.objects[3]?.digest ?? '')),
    'the only parent of a file stands before it',
  )
})
