import type { Digest } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import type { DirectoryEntry } from '../../lib/object/directory.js'
import { fileMode } from '../../lib/object/file-mode.js'
import type { Repository } from '../../lib/repository/repository.js'
import { putApplication, putDirectory, putHeader } from '../../lib/store/typed-object.js'
import { plainHeader } from './sample-tree.js'

const filesInFolder = 1000

/** What file number n holds: 24 bytes, in no other file. */
function contentOf(number: number): Buffer {
  return Buffer.from(`file number ${String(number).padStart(12, '0')}`)
}

/** The digest of file number n. */
export function digestOfFile({ config }: Repository, number: number): Digest {
  return digestObject(config.algorithm, 'file', contentOf(number))
}

/** Stores and tags a tree of so many small files, all different, a thousand in a folder. */
export async function storeManyFiles(
  repository: Repository,
  files: number,
  tag: string,
): Promise<void> {
  await using session = await repository.begin({
    purpose: 'store',
    publishing: 'gradual',
  })
  const { objects } = session
  const header = await putHeader(objects, plainHeader(0o644))
  const folderHeader = await putHeader(objects, plainHeader(fileMode.directory | 0o755))
  const folders: DirectoryEntry[] = []
  for (let from = 0; from < files; from += filesInFolder) {
    const numbers = Array.from(
      { length: Math.min(filesInFolder, files - from) },
      (_, index) => from + index,
    )
    const links = await objects.put(
      numbers.map(number => ({ type: 'file', payload: contentOf(number) })),
    )
    const entries = links.map((file, index) => ({
      kind: 'regular' as const,
      name: nameOf(from + index),
      header,
      file,
    }))
    const directory = await putDirectory(objects, entries)
    folders.push({
      kind: 'directory',
      name: nameOf(from),
      header: folderHeader,
      directory,
    })
  }
  const rootDirectory = await putDirectory(objects, folders)
  const application = await putApplication(objects, {
    rootHeader: folderHeader,
    rootDirectory,
  })
  await objects.publish([application.digest])
  await repository.tags.set(tag, application)
}

function nameOf(number: number): Buffer {
  return Buffer.from(String(number).padStart(10, '0'))
}
