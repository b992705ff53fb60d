import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { DriverRefusedError, InvalidSnapshotRootError } from '../errors.js'
import { encodeCanonicalJson } from '../repository/canonical-json.js'
import { replaceFile } from '../repository/durable-file.js'
import { Reserve } from '../repository/gc/reserve.js'
import { waitFor } from '../repository/lock.js'
import { named } from '../repository/system-failure.js'
import { isErrno } from '../system/errno.js'
import { type FileCalls, systemFileCalls } from '../system/file-calls.js'
import { tryLock } from '../system/flock.js'
import { chooseDriver, type DriverChoice } from './driver/choose-driver.js'
import { NativeDriver } from './driver/native-driver.js'
import { OverlayDriver } from './driver/overlay-driver.js'
import type { DriverName, SnapshotDriver } from './driver/snapshot-driver.js'
import { ContentSync } from './layer/content-sync.js'
import { LayerFolders } from './layer/layer-folders.js'
import { LayerThreads } from './layer/layer-threads.js'
import { LayerTrash } from './layer/layer-trash.js'
import { LocalSnapshotter } from './local-snapshotter.js'
import { SnapshotLog } from './metadata/snapshot-log.js'
import { SnapshotRoot } from './snapshot-root.js'

/** How a folder of snapshots is opened. */
export type SnapshotterOptions = {
  /** How a new folder keeps snapshots; by default overlay where it works, else native. */
  readonly driver?: DriverName
  /** Milliseconds to wait for another process to close it. Default: 1000. */
  readonly wait?: number
  /** `none` leaves it to the system when the files of committed snapshots are durable. */
  readonly contentSync?: 'before-commit' | 'none'
  /** Told why overlay was passed over. */
  readonly onRefused?: (reason: string) => void
  /** The calls that change files; the system's unless a test says otherwise. */
  readonly calls?: FileCalls
}

/**
 * Opens a folder of snapshots, which is made when there is none, for this process alone.
 *
 * Throws LockBusyError while another process has it open, InvalidSnapshotRootError when
 * its files cannot be understood, DriverRefusedError when its driver does not work here.
 */
export async function openSnapshotter(
  path: string,
  options: SnapshotterOptions = {},
): Promise<LocalSnapshotter> {
  const { calls = systemFileCalls, wait = 1000 } = options
  const root = ensureRoot(resolve(path))
  const lock = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const what = 'snapshotter'
    await waitFor(() => tryLock(lock, 'exclusive'), { path: root, what }, { wait })
    return new LocalSnapshotter(await openRoot({ root, lock, calls, options }))
  } catch (error) {
    closeSync(lock)
    throw error
  }
}

type Opening = {
  readonly root: string
  readonly lock: number
  readonly calls: FileCalls
  readonly options: SnapshotterOptions
}

async function openRoot({ root, lock, calls, options }: Opening): Promise<SnapshotRoot> {
  const choice = await settleDriver(root, calls, options)
  const folders = new LayerFolders(root)
  folders.ensure()
  const threads = new LayerThreads()
  const reserve = new Reserve(root)
  reserve.ensure([])
  const isSynced = options.contentSync !== 'none'
  const sync = new ContentSync(root, calls, { isSynced })
  try {
    const driver = createDriver(choice, { folders, threads, sync })
    const log = await SnapshotLog.open(join(root, 'log'), calls)
    const trash = new LayerTrash(folders, threads.removals)
    const parts = {
      path: root,
      lock,
      log,
      driver,
      folders,
      threads,
      trash,
      sync,
      reserve,
    }
    return await SnapshotRoot.recover(parts)
  } catch (error) {
    sync[Symbol.dispose]()
    throw error
  }
}

function ensureRoot(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return realpathSync(path)
  } catch (error) {
    throw named(error, 'open snapshotter', path)
  }
}

// The drivers do not understand each other's layers, so a root keeps the one it began with.
async function settleDriver(
  root: string,
  calls: FileCalls,
  { driver: wanted, onRefused }: SnapshotterOptions,
): Promise<DriverChoice> {
  const path = join(root, 'config')
  const settled = findDriver(path)
  if (settled !== undefined && wanted !== undefined && settled !== wanted) {
    throw new DriverRefusedError(
      `${root} keeps its snapshots with the driver ${settled}, not ${wanted}`,
      { path: root, driver: wanted, found: settled },
    )
  }
  const choice = chooseDriver(root, settled ?? wanted)
  if (choice.name === 'native' && choice.refused !== undefined)
    onRefused?.(choice.refused)
  if (settled === undefined) {
    const config = encodeCanonicalJson({ version: 1, driver: choice.name })
    await replaceFile(path, config, { temporary: `${path}.new`, calls })
  }
  return choice
}

function findDriver(path: string): DriverName | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw named(error, 'read', path)
  }
  const match = /^\{"driver":"(overlay|native)","version":1\}\n?$/.exec(text)
  if (match !== null) return match[1] === 'overlay' ? 'overlay' : 'native'
  throw new InvalidSnapshotRootError(
    `${path} is not what a snapshotter writes: expected a driver and version 1`,
    { path },
  )
}

function createDriver(
  choice: DriverChoice,
  {
    folders,
    threads,
    sync,
  }: {
    readonly folders: LayerFolders
    readonly threads: LayerThreads
    readonly sync: ContentSync
  },
): SnapshotDriver {
  switch (choice.name) {
    case 'overlay':
      return new OverlayDriver(folders, threads.counts, choice.options)
    case 'native':
      return new NativeDriver(folders, threads, sync)
    default:
      return choice satisfies never
  }
}
