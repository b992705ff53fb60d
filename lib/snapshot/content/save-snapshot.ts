import { WrongSnapshotKindError } from '../../errors.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { StoreSession } from '../../store/object-store.js'
import { folderChanges, overlayChanges } from '../../tree/changes/folder-changes.js'
import type { LayerChanges } from '../../tree/changes/layer-change.js'
import { writeLayer } from '../../tree/changes/write-layer.js'
import type { LeftOut } from '../../tree/checkout/left-out.js'
import type { StatCache } from '../../tree/source/stat-cache/stat-cache.js'
import { storeApplication } from '../../tree/source/store-application.js'
import { importTar } from '../../tree/tar/import-tar.js'
import { type SnapshotKey, showSnapshotKey } from '../snapshot-key.js'
import type { CallOptions } from '../snapshotter.js'
import { handedBytes } from './handed-bytes.js'
import { readLayerMount } from './layer-mounts.js'
import { openTree } from './open-tree.js'
import { configOfContent, type SavedContent } from './saved-content.js'
import type { ShownSnapshot, SnapshotContents } from './snapshot-contents.js'

/** How a snapshot becomes an application. */
export type SaveSnapshotOptions = CallOptions & {
  /** The whole tree, or only what the snapshot itself changes. */
  readonly content: SavedContent['content']
  /** Records modification times of a whole tree; changes always have them. */
  readonly mtimes?: boolean
  /** A folder to mount on for a moment, where the kernel needs one. */
  readonly scratch: string
  /** Spares the reading of files of a whole tree that have not changed. */
  readonly cache?: StatCache
  readonly onProgress?: (progress: SaveProgress) => void
}

/** How far it has come. */
export type SaveProgress = {
  readonly entries: number
  readonly files: number
  readonly bytes: number
}

/** What was stored. */
export type SavedSnapshot = SaveProgress & {
  readonly descriptor: Descriptor
  /** What changes cannot say. */
  readonly leftOut: readonly LeftOut<'socket'>[]
}

/** The label by which containerd knows what a layer holds. */
export const referenceLabel = 'containerd.io/snapshot.ref'

/**
 * Stores the files of a snapshot as an application; publishing and tagging are the
 * caller's.
 *
 * Changes are stored as a layer of an OCI image has them: `.wh.NAME` takes away, and
 * `.wh..wh..opq` hides what was in a folder; `cairn tar export` makes the layer of it.
 * Nothing is stored of a snapshot that is removed meanwhile: SnapshotNotFoundError. Throws
 * as storeApplication does.
 */
export async function saveSnapshot(
  contents: SnapshotContents,
  key: SnapshotKey,
  session: StoreSession,
  options: SaveSnapshotOptions,
): Promise<SavedSnapshot> {
  await using shown = await contents.show(key, options)
  if (options.content === 'changes' && shown.info.kind === 'view') {
    throw new WrongSnapshotKindError(
      `snapshot ${showSnapshotKey(key)} is a view: it changes nothing`,
      { key: showSnapshotKey(key), found: 'view' },
    )
  }
  try {
    const save = options.content === 'tree' ? saveTree : saveChanges
    const saved = await save(shown, session, options)
    await shown.ensureThere()
    return saved
  } catch (error) {
    // What goes while it is read looks as if it were broken.
    await shown.ensureThere()
    throw error
  }
}

async function saveTree(
  shown: ShownSnapshot,
  session: StoreSession,
  { mtimes = false, scratch, cache, onProgress, signal }: SaveSnapshotOptions,
): Promise<SavedSnapshot> {
  using tree = openTree(readLayerMount(shown.mounts), scratch)
  const { descriptor, stats } = await storeApplication(tree.path, session, {
    mtimes,
    ...(cache !== undefined && { cache }),
    ...(onProgress !== undefined && { onProgress }),
    ...(signal !== undefined && { signal }),
  })
  const { entries, files, bytes } = stats
  return { descriptor, entries, files, bytes, leftOut: [] }
}

async function saveChanges(
  shown: ShownSnapshot,
  session: StoreSession,
  { onProgress, signal }: SaveSnapshotOptions,
): Promise<SavedSnapshot> {
  let leftOut: SavedSnapshot['leftOut'] = []
  const archive = handedBytes(async write => {
    const report = await writeLayer(changesOf(shown, signal), write, { signal })
    leftOut = report.leftOut
  })
  const config = configOfContent({
    content: 'changes',
    reference: shown.info.labels.get(referenceLabel),
  })
  const stored = await importTar(archive, session, {
    config,
    // What is read is no archive of a stranger: its own size is bound enough.
    maxBytes: Number.MAX_SAFE_INTEGER,
    onProgress,
    signal,
  })
  const { descriptor, entries, files, bytes } = stored
  return { descriptor, entries, files, bytes, leftOut }
}

function changesOf(
  { mounts, below }: ShownSnapshot,
  signal: AbortSignal | undefined,
): LayerChanges {
  const layers = readLayerMount(mounts)
  if (layers.kind === 'overlay') return overlayChanges(layers, { signal })
  const lower = below === undefined ? undefined : readLayerMount(below)
  if (lower?.kind === 'overlay') {
    throw new Error('a snapshot of one folder stands on one of several')
  }
  return folderChanges(lower?.path, layers.path, { signal })
}
