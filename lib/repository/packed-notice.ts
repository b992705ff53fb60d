import { join } from 'node:path'
import type { FileCalls } from '../system/file-calls.js'
import { replaceFile } from './durable-file.js'
import type { RepositoryPaths } from './repository-paths.js'

const packedNotice = 'The objects of this repository are in packs.\n'

/** Makes tools of version 1 fail, rather than see no objects where they are in packs. */
export async function writePackedNotice(
  paths: RepositoryPaths,
  calls: FileCalls,
): Promise<void> {
  await replaceFile(paths.objects, Buffer.from(packedNotice), {
    temporary: join(paths.root, 'objects.new'),
    calls,
  })
}
