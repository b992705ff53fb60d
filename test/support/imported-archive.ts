import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { Descriptor } from '../../lib/object/descriptor.js'
import { escapeBytes } from '../../lib/object/escape.js'
import { permissionsOf } from '../../lib/object/file-mode.js'
import { MemoryStore } from '../../lib/store/memory-store.js'
import { getApplication } from '../../lib/store/typed-object.js'
import { listTree } from '../../lib/tree/list.js'
import {
  importTar,
  type TarImportOptions,
  type TarImportReport,
} from '../../lib/tree/tar/import-tar.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { pieces } from './raw-archive.js'

/** An archive that was imported into memory. */
export type ImportedArchive = TarImportReport & { readonly store: MemoryStore }

/** A tree in a store. */
export type StoredImport = {
  readonly store: MemoryStore
  readonly descriptor: Pick<Descriptor, 'digest'>
}

/** Imports an archive into a store of its own. */
export async function importBytes(
  bytes: Buffer,
  options: TarImportOptions & { readonly pieceBytes?: number } = {},
): Promise<ImportedArchive> {
  const { pieceBytes, ...others } = options
  const algorithm = findAlgorithmByName('blake3')
  if (algorithm === undefined) throw new Error('no blake3')
  const store = new MemoryStore()
  await using session = await store.begin({ algorithm, folder: '', publishing: 'whole' })
  const report = await importTar(pieces(bytes, pieceBytes), session, others)
  await session.publish([report.descriptor.digest])
  return { ...report, store }
}

/** A tree in lines: kind, permissions, path, and content, target or device. */
export async function describeImported(imported: StoredImport): Promise<string[]> {
  const { store, descriptor } = imported
  const node = await resolveTreePath(store, descriptor.digest)
  const lines: string[] = []
  for await (const batch of listTree(store, node, { recursive: true })) {
    for (const { path, kind, header, entry, target } of batch) {
      const parts = [kind, permissionsOf(header.mode).toString(8), escapeBytes(path)]
      if (entry.kind === 'regular') {
        const [object] = await store.read([entry.file.digest])
        parts.push(escapeBytes(object?.payload ?? Buffer.alloc(0)))
      }
      if (target !== undefined) parts.push(`-> ${escapeBytes(target)}`)
      if (header.rdev !== 0) parts.push(String(header.rdev))
      lines.push(parts.join(' '))
    }
  }
  return lines
}

/** The groups of names of one file that an imported tree has. */
export async function hardLinksOf(
  imported: StoredImport,
): Promise<readonly (readonly number[])[]> {
  const { extension } = await getApplication(imported.store, imported.descriptor.digest)
  return extension?.hardLinks ?? []
}
