import { directoryDescriptor } from '../../object/directory.js'
import type { StoreSession } from '../../store/object-store.js'
import type { StoredTree, WalkOptions } from './store-options.js'
import { scanTree } from './tree-scan.js'

/**
 * Stores what is in a folder as a directory object, without the folder's own header.
 *
 * Commits and throws as storeApplication does.
 */
export async function storeDirectory(
  source: string | Buffer,
  session: StoreSession,
  options: WalkOptions = {},
): Promise<StoredTree> {
  const { rootDirectory, stats } = await scanTree(source, session, {
    ...options,
    mtimes: false,
    symlinkXattrs: true,
  })
  return { descriptor: directoryDescriptor(rootDirectory), stats }
}
