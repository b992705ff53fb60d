import { join } from 'node:path'
import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { Descriptor } from '../../lib/object/descriptor.js'
import type { Compression } from '../../lib/repository/compression.js'
import { initRepository } from '../../lib/repository/init.js'
import type { Repository } from '../../lib/repository/repository.js'
import type { StoreSession } from '../../lib/store/object-store.js'
import { putApplication, putDirectory, putHeader } from '../../lib/store/typed-object.js'
import { plainHeader, putFile } from './sample-tree.js'

/** Makes an empty repository that keeps its objects in packs, at `folder/repository`. */
export async function makePackedRepository(
  folder: string,
  compression: Compression = 'none',
): Promise<Repository> {
  const algorithm = findAlgorithmByName('blake3')
  if (algorithm === undefined) throw new Error('no algorithm blake3')
  const choices = { algorithm, layout: 'pack', compression } as const
  return initRepository(join(folder, 'repository'), choices)
}

/** Commits a folder with one file for each content. */
export async function putFiles(
  session: StoreSession,
  contents: readonly (string | Uint8Array)[],
): Promise<Descriptor> {
  const header = await putHeader(session, plainHeader(0o644))
  const folder = await putHeader(session, plainHeader(0x800001ed))
  const names = contents.map((_, index) => Buffer.from(String(index).padStart(8, '0')))
  const entries = []
  for (const [index, content] of contents.entries()) {
    const file = await putFile(session, content)
    const name = names[index] ?? Buffer.alloc(0)
    entries.push({ kind: 'regular' as const, name, header, file })
  }
  return putApplication(session, {
    rootHeader: folder,
    rootDirectory: await putDirectory(session, entries),
  })
}

/** Stores and publishes such a folder, and tags it if told. */
export async function storeFiles(
  repository: Repository,
  contents: readonly (string | Uint8Array)[],
  tag?: string,
): Promise<Descriptor> {
  await using session = await repository.begin({
    purpose: 'store',
    publishing: 'gradual',
  })
  const application = await putFiles(session.objects, contents)
  await session.objects.publish([application.digest])
  if (tag !== undefined) await repository.tags.set(tag, application)
  return application
}

/** What a check of everything has to say, but for notices. */
export async function problemsOf(repository: Repository): Promise<string[]> {
  const found: string[] = []
  for await (const { severity, kind, where } of repository.check({ objects: 'all' })) {
    if (severity !== 'notice') found.push(`${severity} ${kind} ${where}`)
  }
  return found
}
