import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { Digest } from '../../lib/object/digest.js'
import { decodeDirectory } from '../../lib/object/directory.js'
import { dependenciesOf } from '../../lib/object/received-object.js'
import { MemoryStore } from '../../lib/store/memory-store.js'
import type { NewObject, StoreSession } from '../../lib/store/object-store.js'
import { type GoldenObject, loadGoldenTree } from './golden-tree.js'

/** Fills a memory store with objects, children first. */
export async function makeStore(objects: readonly NewObject[]): Promise<MemoryStore> {
  const store = new MemoryStore()
  await using session = await beginSession(store)
  const links = await session.put(objects)
  await session.publish(links.map(({ digest }) => digest))
  return store
}

/** Begins a session of a memory store, with the algorithm of the original program. */
export async function beginSession(store: MemoryStore): Promise<StoreSession> {
  const algorithm = findAlgorithmByName('sha512-256')
  if (algorithm === undefined) throw new Error('sha512-256 is unknown')
  return store.begin({ algorithm, folder: '/', publishing: 'whole' })
}

/** Every object of the recorded tree, children first. */
export function goldenObjects(): GoldenObject[] {
  return closureOf([loadGoldenTree().application.digest])
}

/** What the server of recording `push-some` had of it: the folders `data` and `copyA`. */
export function goldenParts(): GoldenObject[] {
  const root = [...recorded().values()].find(
    ({ type, payload }) =>
      type === 'directory' && namesIn(payload).some(({ name }) => name === 'copyA'),
  )
  if (root === undefined) throw new Error('no recorded directory names copyA')
  const parts = namesIn(root.payload).filter(({ name }) => /^(data|copyA)$/.test(name))
  return closureOf(parts.flatMap(({ digests }) => digests))
}

function namesIn(payload: Buffer): { name: string; digests: Digest[] }[] {
  return decodeDirectory(payload, 'strict').map(entry => ({
    name: entry.name.toString('latin1'),
    digests: [
      entry.header.digest,
      ...(entry.kind === 'directory' ? [entry.directory.digest] : []),
    ],
  }))
}

function recorded(): Map<Digest, GoldenObject> {
  return new Map(loadGoldenTree().objects.map(object => [object.digest, object]))
}

function closureOf(roots: readonly Digest[]): GoldenObject[] {
  const objects = recorded()
  const ordered = new Map<Digest, GoldenObject>()
  const visit = (digest: Digest): void => {
    const object = objects.get(digest)
    if (object === undefined) throw new Error(`${digest} is not recorded`)
    for (const below of dependenciesOf(object.type, object.payload, 'strict')) {
      visit(below.digest)
    }
    ordered.set(digest, object)
  }
  roots.forEach(visit)
  return [...ordered.values()]
}
