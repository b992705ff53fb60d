import type { ApplicationConfig } from '../../object/application-config.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { StoreSession } from '../../store/object-store.js'
import { putApplication } from '../../store/typed-object.js'
import type { LeftOut } from '../checkout/left-out.js'
import { ArchiveTree, type ArchiveTreeOptions } from './archive-tree.js'
import type { TarProgress } from './export-tar.js'
import { openArchive } from './open-archive.js'
import type { LostFact } from './pax-header.js'

/** How an archive becomes an application. */
export type TarImportOptions = ArchiveTreeOptions & {
  /** Records modification times; true unless given. */
  readonly mtimes?: boolean | undefined
  readonly config?: ApplicationConfig | undefined
  /**
   * Bytes that the archive may unpack to, and its files together; unless given 1 GiB, and
   * 1200 bytes more for each byte of the archive.
   */
  readonly maxBytes?: number | undefined
}

/** What an import did. */
export type TarImportReport = TarProgress & {
  readonly descriptor: Descriptor
  /** What the archive says that no tree can hold. */
  readonly leftOut: readonly LeftOut<LostFact>[]
}

/**
 * Stores what a tar archive holds as an application, without a folder in between: the
 * digest is that of the extracted folder, stored with its modification times.
 *
 * gzip and zstd are undone. Entries may come in any order; of two with one name the later
 * counts; a folder that no entry describes is 0755, owner 0:0, time 0. Nothing of an
 * archive is ever followed: a path with "..", one that leads through a link or a file,
 * and a hard link to nothing or to a folder are refused; a leading slash means the tree's
 * root. Everything is committed to the session, which publishes it or does not.
 *
 * Throws InvalidArchiveError, LimitExceededError, NotRepresentableError,
 * NativeUnavailableError for zstd on a system without its library, and what the session
 * throws.
 */
export async function importTar(
  archive: AsyncIterable<Uint8Array>,
  session: StoreSession,
  options: TarImportOptions = {},
): Promise<TarImportReport> {
  const { mtimes = true, config, maxBytes, signal } = options
  await using members = await openArchive(archive, { maxBytes })
  const tree = new ArchiveTree(session, options)
  for (;;) {
    signal?.throwIfAborted()
    const member = await members.next()
    if (member === undefined) break
    await tree.add(member)
  }
  const { leftOut, bytes, ...assembled } = await tree.finish()
  const { rootHeader, rootDirectory, hardLinks, modificationTimes } = assembled
  const descriptor = await putApplication(session, {
    rootHeader,
    rootDirectory,
    extension: {
      ...(config !== undefined && { config }),
      ...(hardLinks.length > 0 && { hardLinks }),
      ...(mtimes && { modificationTimes }),
    },
  })
  const { entries, files } = assembled
  return { descriptor, entries, files, bytes, leftOut }
}
