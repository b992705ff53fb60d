import type { Application } from '../../object/application.js'
import type { ApplicationExtension } from '../../object/application-extension.js'
import type { StoreSession } from '../../store/object-store.js'
import { putApplication } from '../../store/typed-object.js'
import { ArchiveTree } from '../tar/archive-tree.js'
import type { TarImportOptions, TarImportReport } from '../tar/import-tar.js'
import { openArchive } from '../tar/open-archive.js'
import type { BaseTree } from '../tar/stored-tree.js'
import type { TarMember } from '../tar/tar-reader.js'
import { type LayerMember, readLayerMember } from './layer-member.js'

/**
 * Applies a layer of an OCI image to a stored tree, and stores the result as a new one.
 *
 * Marks take away what the base has, never what the layer itself brings, wherever in the
 * layer they stand. Without a base, a layer is applied to nothing. The new application
 * has the base's config unless another is given, and modification times if the base has
 * them, or there is none. Bounds, refusals and errors are those of importTar; a base that
 * is not whole throws as checkout does.
 */
export async function applyLayer(
  archive: AsyncIterable<Uint8Array>,
  base: BaseTree | undefined,
  session: StoreSession,
  options: TarImportOptions = {},
): Promise<TarImportReport> {
  await using members = await openArchive(archive, { maxBytes: options.maxBytes })
  const tree = new ArchiveTree(session, options)
  const application = base === undefined ? undefined : await tree.load(base)
  for (;;) {
    options.signal?.throwIfAborted()
    const member = await members.next()
    if (member === undefined) break
    await applyMember(tree, readLayerMember(member), member)
  }
  const { leftOut, bytes, ...assembled } = await tree.finish()
  const { rootHeader, rootDirectory, hardLinks, modificationTimes } = assembled
  const extension: ApplicationExtension = {
    ...extensionOf(application, options),
    ...(hardLinks.length > 0 && { hardLinks }),
    ...(keepsTimes(application, options) && { modificationTimes }),
  }
  const descriptor = await putApplication(session, {
    rootHeader,
    rootDirectory,
    extension,
  })
  const { entries, files } = assembled
  return { descriptor, entries, files, bytes, leftOut }
}

async function applyMember(
  tree: ArchiveTree,
  meaning: LayerMember,
  member: TarMember,
): Promise<void> {
  const { folder, place } = meaning
  switch (meaning.kind) {
    case 'entry':
      await tree.add(member)
      break
    case 'whiteout':
      tree.hide(folder, meaning.name, place)
      break
    case 'opaque':
      tree.hideAll(folder, place)
      break
    case 'meta':
      break
    default:
      meaning satisfies never
  }
}

function extensionOf(
  base: Application | undefined,
  { config = base?.extension?.config }: TarImportOptions,
): ApplicationExtension {
  return config === undefined ? {} : { config }
}

function keepsTimes(
  base: Application | undefined,
  { mtimes }: TarImportOptions,
): boolean {
  if (mtimes !== undefined) return mtimes
  return base === undefined || base.extension?.modificationTimes !== undefined
}
