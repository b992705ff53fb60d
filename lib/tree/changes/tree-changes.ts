import type { ObjectReader } from '../../store/object-store.js'
import {
  type ComparedEntry,
  type ComparedPair,
  compareTrees,
  type DiffOptions,
} from '../diff.js'
import { ContentReader } from '../tar/content-reader.js'
import type { TreeNode } from '../tree-path.js'
import type { ChangedNode, LayerChange } from './layer-change.js'

/** A stored tree, or a part of one. */
export type StoredTreePart = { readonly reader: ObjectReader; readonly node: TreeNode }

const noBytes = Buffer.alloc(0)

/**
 * Tells what an upper stored tree has otherwise than a lower one.
 *
 * Folders that are the same object are not looked into; contents are compared by digest.
 * What is below a deleted folder, or a folder that became something else, is not told.
 * Throws as diffTrees does.
 */
export async function* treeChanges(
  lower: StoredTreePart,
  upper: StoredTreePart,
  options: DiffOptions = {},
): AsyncGenerator<LayerChange, void, void> {
  const contents = new ContentReader(upper.reader)
  // The path of a folder whose content is gone with it.
  let gone: Buffer | undefined
  for await (const pairs of compareTrees(
    lower.reader,
    lower.node,
    upper.reader,
    upper.node,
    { ...options, hardLinks: 'always' },
  )) {
    await contents.readAhead(pairs.map(findFile))
    for (const { before, after, parts } of pairs) {
      if (after === undefined) {
        const path = before?.description.path ?? noBytes
        if (gone !== undefined && isBelow(path, gone)) continue
        yield { kind: 'deleted', path }
        if (before?.description.kind === 'directory') gone = path
        continue
      }
      const { path } = after.description
      const kind =
        before === undefined ? 'added' : parts.length > 0 ? 'modified' : 'unchanged'
      const isFolder = after.description.kind === 'directory'
      if (before?.description.kind === 'directory' && !isFolder) gone = path
      yield { kind, path, node: nodeOf(after, contents), isOpaque: false }
    }
  }
}

function findFile({ after }: ComparedPair) {
  if (after?.description.entry.kind !== 'regular') return undefined
  return { path: after.description.path, file: after.description.entry.file }
}

function nodeOf(
  { description, time, links }: ComparedEntry,
  contents: ContentReader,
): ChangedNode {
  const { entry, kind, header, target = noBytes, path } = description
  const file = entry.kind === 'regular' ? entry.file : undefined
  return {
    kind,
    header,
    time,
    size: file?.size ?? 0,
    target,
    links,
    content: () => {
      if (file === undefined) throw new Error(`a ${kind} has no content`)
      return contents.chunks({ path, file })
    },
  }
}

function isBelow(path: Buffer, folder: Buffer): boolean {
  return path[folder.length] === 0x2f && path.subarray(0, folder.length).equals(folder)
}
