import { InvalidArgumentError, NotRepresentableError } from '../../errors.js'
import type { Application } from '../../object/application.js'
import type { Digest } from '../../object/digest.js'
import { escapeBytes } from '../../object/escape.js'
import { findKindOfMode } from '../../object/file-mode.js'
import type { Header } from '../../object/header.js'
import type { ObjectReader } from '../../store/object-store.js'
import { getApplication } from '../../store/typed-object.js'
import { isOverlayAttribute } from '../../tree/changes/overlay-marks.js'
import { type MarkHandling, unpackLayer } from '../../tree/changes/unpack-layer.js'
import { checkout } from '../../tree/checkout/checkout.js'
import type { LeftOut, LeftOutKind } from '../../tree/checkout/left-out.js'
import { exportTar } from '../../tree/tar/export-tar.js'
import type { LostFact } from '../../tree/tar/pax-header.js'
import { TreeReader } from '../../tree/tree-reader.js'
import { surveyTree } from '../../tree/tree-survey.js'
import type { Labels, Mount } from '../snapshot.js'
import { noSnapshot, type SnapshotKey } from '../snapshot-key.js'
import type { CallOptions } from '../snapshotter.js'
import { handedBytes } from './handed-bytes.js'
import { readLayerMount } from './layer-mounts.js'
import { contentOf } from './saved-content.js'
import type { SnapshotContents } from './snapshot-contents.js'

/** How a snapshot is made from an application. */
export type LoadSnapshotOptions = CallOptions & {
  /** What changes are applied to: a committed snapshot, or none. */
  readonly parent?: SnapshotKey
  readonly labels?: Labels
  readonly onProgress?: (progress: LoadProgress) => void
}

/** How far it has come. */
export type LoadProgress = {
  readonly entries: number
  readonly files: number
  readonly bytes: number
}

/** What was loaded. */
export type LoadedSnapshot = LoadProgress & {
  /** Whether another snapshot has the same files already, so that nothing was written. */
  readonly shared: boolean
  /** What this user or platform could not restore. */
  readonly leftOut: readonly LeftOut<LeftOutKind | LostFact>[]
}

/**
 * Makes a committed snapshot from an application: of a whole tree one without a parent, of
 * changes one on top of a parent.
 *
 * Everything is verified while it is read. What was loaded before, on the same parent, is
 * not written again. The snapshot is there whole and durable, or not at all. Throws
 * InvalidArgumentError for a whole tree with a parent, and as checkout and unpackLayer do.
 */
export async function loadSnapshot(
  contents: SnapshotContents,
  name: SnapshotKey,
  {
    reader,
    application,
  }: { readonly reader: ObjectReader; readonly application: Digest },
  options: LoadSnapshotOptions = {},
): Promise<LoadedSnapshot> {
  const { parent = noSnapshot, labels, onProgress, signal } = options
  const source = {
    reader,
    application,
    content: await getApplication(reader, application),
  }
  if (contentOf(source.content).content === 'tree' && parent !== noSnapshot) {
    throw new InvalidArgumentError(
      `${application} is a whole tree: expected no parent, which only changes have`,
      { application },
    )
  }
  let filled: Filled = { entries: 0, files: 0, bytes: 0, leftOut: [] }
  const fill = async (mounts: readonly Mount[]): Promise<void> => {
    const running = { onProgress, signal }
    filled =
      contentOf(source.content).content === 'tree'
        ? await fillWithTree(source, mounts, running)
        : await fillWithChanges(source, mounts, running)
  }
  const { shared } = await contents.load(name, {
    application,
    parent,
    fill,
    ...(labels !== undefined && { labels }),
    ...(signal !== undefined && { signal }),
  })
  const { entries, files, bytes, leftOut } = filled
  return { shared, entries, files, bytes, leftOut }
}

type Source = {
  readonly reader: ObjectReader
  readonly application: Digest
  readonly content: Application
}
type Filled = Omit<LoadedSnapshot, 'shared'>
type Running = {
  readonly onProgress: LoadSnapshotOptions['onProgress']
  readonly signal: AbortSignal | undefined
}

async function fillWithTree(
  { reader, application, content }: Source,
  mounts: readonly Mount[],
  running: Running,
): Promise<Filled> {
  const layers = readLayerMount(mounts)
  if (layers.kind === 'overlay') throw new Error('a whole tree needs a folder of its own')
  await refuseMarks(reader, content, running.signal)
  return await checkout(reader, { application }, layers.path, running)
}

async function fillWithChanges(
  { reader, application }: Source,
  mounts: readonly Mount[],
  running: Running,
): Promise<Filled> {
  const layers = readLayerMount(mounts)
  const archive = handedBytes(async write => {
    await exportTar(reader, { application }, write, { signal: running.signal })
  })
  const marks: MarkHandling =
    layers.kind === 'overlay' ? { ...layers, kind: 'overlay' } : { kind: 'apply' }
  const folder = layers.kind === 'overlay' ? layers.upper : layers.path
  return await unpackLayer(archive, folder, {
    marks,
    // Its objects are verified, and their sizes known: no archive of a stranger.
    maxBytes: Number.MAX_SAFE_INTEGER,
    ...running,
  })
}

// In a layer of an overlay, such entries would take others away, or be hidden.
async function refuseMarks(
  reader: ObjectReader,
  { rootDirectory }: Application,
  signal: AbortSignal | undefined,
): Promise<void> {
  const tree = new TreeReader(reader, { strictness: 'strict' })
  await surveyTree(tree, rootDirectory, { check: refuseMark, signal })
}

function refuseMark(_: unknown, { mode, rdev, xattrs }: Header): void {
  const mark = xattrs.find(({ key }) => isOverlayAttribute(key))?.key
  const isDevice = findKindOfMode(mode) === 'char-device' && rdev === 0
  if (mark === undefined && !isDevice) return
  const what = mark === undefined ? 'a device 0:0' : `the attribute ${escapeBytes(mark)}`
  throw new NotRepresentableError(`${what} means something else in a snapshot`, {})
}
