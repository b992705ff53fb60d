import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type AlgorithmName, findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { Descriptor, ObjectLink } from '../../lib/object/descriptor.js'
import { digestObject } from '../../lib/object/digester.js'
import { type ObjectType, objectTypeByte } from '../../lib/object/object-type.js'
import { initRepository } from '../../lib/repository/init.js'
import type { OpenOptions } from '../../lib/repository/open.js'
import type { Repository } from '../../lib/repository/repository.js'
import type { StoreSession } from '../../lib/store/object-store.js'
import { putApplication, putDirectory, putHeader } from '../../lib/store/typed-object.js'

/** Makes an empty repository at `folder/repository`. */
export async function makeRepository(
  folder: string,
  options: OpenOptions & { algorithm?: AlgorithmName } = {},
): Promise<Repository> {
  const { algorithm: name = 'blake3', ...open } = options
  const algorithm = findAlgorithmByName(name)
  if (algorithm === undefined) throw new Error(`no algorithm ${name}`)
  const choices = { algorithm, layout: 'loose', compression: 'none' } as const
  return initRepository(join(folder, 'repository'), choices, open)
}

/** Makes what the original program makes when it opens an empty folder. */
export function makeVersion1Folder(root: string): string {
  mkdirSync(join(root, 'objects'), { recursive: true })
  mkdirSync(join(root, 'refs', 'tags'), { recursive: true })
  return root
}

/** Commits an application over an empty folder that belongs to `uid`: one tree a number. */
export async function putSmallTree(
  session: StoreSession,
  uid: number,
): Promise<Descriptor> {
  const header = { mode: 0x800001ed, rdev: 0, uid, gid: 0, xattrs: [] }
  return putApplication(session, {
    rootHeader: await putHeader(session, header),
    rootDirectory: await putDirectory(session, []),
  })
}

/** Stores and publishes small trees of the given numbers. */
export async function storeSmallTrees(
  repository: Repository,
  uids: readonly number[],
): Promise<Descriptor[]> {
  await using session = await repository.begin({ purpose: 'store', publishing: 'whole' })
  const descriptors: Descriptor[] = []
  for (const uid of uids) descriptors.push(await putSmallTree(session.objects, uid))
  await session.objects.publish(descriptors.map(({ digest }) => digest))
  return descriptors
}

/** Stores and publishes one small tree. */
export async function storeSmallTree(
  repository: Repository,
  uid: number,
): Promise<Descriptor> {
  const [descriptor] = await storeSmallTrees(repository, [uid])
  if (descriptor === undefined) throw new Error('nothing was stored')
  return descriptor
}

/** Where a loose repository keeps an object. */
export function objectPath(root: string, digest: string): string {
  const [first, second, third] = [0, 2, 4].map(start => digest.slice(start, start + 2))
  return join(root, 'objects', `${first}/${second}/${third}`, digest.slice(6))
}

/** Puts an object where it belongs without any check, as a careless program would. */
export function placeObject(
  { root, config }: Repository,
  type: ObjectType,
  payload: Uint8Array,
): ObjectLink {
  const digest = digestObject(config.algorithm, type, payload)
  const path = objectPath(root, digest)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, Buffer.concat([Buffer.from([objectTypeByte(type)]), payload]))
  return { digest, size: payload.length }
}
