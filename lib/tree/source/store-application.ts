import { InvalidArgumentError, NotRepresentableError } from '../../errors.js'
import { type Application, encodeApplication } from '../../object/application.js'
import type { ApplicationExtension } from '../../object/application-extension.js'
import { escapeBytes } from '../../object/escape.js'
import { maxMetadataBytes } from '../../object/received-object.js'
import type { StoreSession } from '../../store/object-store.js'
import { putApplication, putHeader } from '../../store/typed-object.js'
import type { StoredTree, StoreOptions } from './store-options.js'
import { type ScannedTree, scanTree } from './tree-scan.js'

/**
 * Stores a folder as an application: its tree, its own header, and what is said of it.
 *
 * Everything is committed to the session, children before parents; publishing and tagging
 * are the caller's. A path that is a link stands for the folder it names. The same tree
 * gives the same digest wherever it lies.
 *
 * Throws SourceUnreadableError, SourceChangedError or NotRepresentableError, whose
 * `facts.path` names the entry, for the first entry that cannot be stored.
 */
export async function storeApplication(
  source: string | Buffer,
  session: StoreSession,
  options: StoreOptions = {},
): Promise<StoredTree> {
  const { version1 = false, mtimes = false } = options
  if (version1) checkVersion1(options)
  const scanned = await scanTree(source, session, {
    ...options,
    mtimes,
    symlinkXattrs: !version1,
  })
  const application = {
    rootHeader: await putHeader(session, scanned.rootHeader),
    rootDirectory: scanned.rootDirectory,
    extension: version1 ? {} : makeExtension(scanned, options),
  }
  checkSize(source, application)
  return { descriptor: await putApplication(session, application), stats: scanned.stats }
}

function makeExtension(
  { hardLinks, modificationTimes }: ScannedTree,
  { config, parents, created }: StoreOptions,
): ApplicationExtension {
  return {
    ...(config && { config }),
    ...(parents && { parents }),
    ...(created !== undefined && { created }),
    ...(hardLinks && { hardLinks }),
    ...(modificationTimes && { modificationTimes }),
  }
}

function checkVersion1({ mtimes, config, parents, created }: StoreOptions): void {
  if (mtimes || config || parents || created !== undefined) {
    throw new InvalidArgumentError(
      'version 1 has no modification times, config, parents or creation time',
    )
  }
}

// Hard links and times grow with the tree; what no peer would accept must not be stored.
function checkSize(source: string | Buffer, application: Application): void {
  const found = encodeApplication(application).length
  if (found <= maxMetadataBytes) return
  const path = escapeBytes(Buffer.from(source))
  throw new NotRepresentableError(
    `cannot store ${path}: its hard links and modification times take too much room: ` +
      `expected at most ${maxMetadataBytes} bytes, found ${found}`,
    { path, found },
  )
}
