import type { ObjectMemory } from '../closure/seen-objects.js'
import type { Digest } from '../object/digest.js'
import { directoryDescriptor } from '../object/directory.js'
import type { DirectoryView } from '../object/directory-view.js'
import type { ObjectReader } from '../store/object-store.js'
import { getApplication } from '../store/typed-object.js'
import { PathTrail } from './path-trail.js'
import { TreeReader } from './tree-reader.js'

/** Where a file lies. */
export type FilePath = { readonly digest: Digest; readonly path: Buffer }

/**
 * Finds one path for each of some files inside an application; ends when all have one.
 *
 * Goes into each distinct directory once, whatever number of paths lead to it; `memory`
 * may be that of walks through other applications, whose directories are then passed over.
 */
export async function* findFilePaths(
  reader: ObjectReader,
  application: Digest,
  wanted: Set<Digest>,
  { memory, signal }: { memory: ObjectMemory; signal?: AbortSignal | undefined },
): AsyncGenerator<FilePath, void> {
  const tree = new TreeReader(reader, { strictness: 'tolerant' })
  const { rootDirectory } = await getApplication(reader, application)
  if (memory.add(directoryDescriptor(rootDirectory)) !== 'new') return
  const trail = new PathTrail()
  const frames: { directory: DirectoryView; index: number }[] = [
    { directory: await tree.directory(rootDirectory), index: 0 },
  ]
  for (let frame = frames.at(-1); frame && wanted.size > 0; frame = frames.at(-1)) {
    const entry = frame.directory.at(frame.index++)
    if (entry === undefined) {
      frames.pop()
      trail.leave()
    } else if (entry.kind === 'regular' && wanted.delete(entry.file.digest)) {
      yield { digest: entry.file.digest, path: trail.at(entry.name) }
    } else if (entry.kind === 'directory') {
      signal?.throwIfAborted()
      if (memory.add(directoryDescriptor(entry.directory)) !== 'new') continue
      trail.enter(entry.name)
      frames.push({ directory: await tree.directory(entry.directory), index: 0 })
    }
  }
}
