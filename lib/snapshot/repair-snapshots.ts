import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import { InvalidArgumentError, InvalidObjectError } from '../errors.js'
import { syncPath } from '../repository/durable-file.js'
import { waitFor } from '../repository/lock.js'
import { type FileCalls, systemFileCalls } from '../system/file-calls.js'
import { tryLock } from '../system/flock.js'
import { appendRecords, maxRecordBytes } from '../system/record-log.js'
import { LayerFolders } from './layer/layer-folders.js'
import { decodeSnapshotChange, encodeSnapshotChange } from './metadata/snapshot-record.js'
import {
  layerIdOf,
  type SnapshotChange,
  type SnapshotRow,
} from './metadata/snapshot-row.js'
import { SnapshotTable } from './metadata/snapshot-table.js'
import type { SnapshotKey } from './snapshot-key.js'

/** What a repair kept and what it could not. */
export type SnapshotRepairReport = {
  readonly kept: number
  /** Snapshots that were found, but not all that they stand on. */
  readonly dropped: readonly SnapshotKey[]
  /** Where the layers were moved that nothing names any more. */
  readonly lost: readonly string[]
  /** The damaged log. */
  readonly damaged: string
}

const frameBytes = 8

/**
 * Makes a root usable whose log is damaged: keeps the snapshots that whole records tell
 * of and whose layers are there. Deletes nothing: the log stays beside the new one, layers
 * without a snapshot go to `lost`.
 */
export async function repairSnapshots(
  path: string,
  calls: FileCalls = systemFileCalls,
): Promise<SnapshotRepairReport> {
  const root = resolve(path)
  const lock = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const what = 'snapshotter'
    await waitFor(() => tryLock(lock, 'exclusive'), { path: root, what }, { wait: 1000 })
    return await repair(root, calls)
  } finally {
    closeSync(lock)
  }
}

async function repair(root: string, calls: FileCalls): Promise<SnapshotRepairReport> {
  const folders = new LayerFolders(root)
  folders.ensure()
  const onDisk = new Set(folders.ids())
  const log = join(root, 'log')
  const found = foldRows(findChanges(readFileSync(log)))
  const { table, dropped } = keepWhole(found, onDisk)
  const damaged = `${log}.damaged-${Date.now()}`
  const fresh = `${log}.repaired`
  const fd = calls.openLog(fresh)
  try {
    calls.truncate(fd, 0)
    const bodies = [...table.changes()].map(encodeSnapshotChange)
    await appendRecords(fd, { kind: 'whole', offset: 0 }, { bodies, calls })
  } finally {
    calls.close(fd)
  }
  const lost = [...onDisk].filter(id => !table.usesLayer(Number(id)))
  const moved = moveAside(root, folders, lost)
  calls.rename(log, damaged)
  calls.rename(fresh, log)
  await syncPath(root, calls)
  return { kept: table.size, dropped, lost: moved, damaged }
}

function moveAside(
  root: string,
  folders: LayerFolders,
  ids: readonly string[],
): string[] {
  if (ids.length === 0) return []
  const place = join(root, 'lost')
  mkdirSync(place, { recursive: true, mode: 0o700 })
  return ids.map(id => {
    const to = join(place, `${id}-${Date.now()}`)
    renameSync(folders.folder(id), to)
    return to
  })
}

// Behind damage the next record is looked for byte by byte.
function* findChanges(bytes: Buffer): Generator<SnapshotChange, void> {
  for (let at = 0; at + frameBytes < bytes.length; ) {
    const change = findChange(bytes, at)
    if (change !== undefined) yield change
    at += change === undefined ? 1 : frameBytes + bytes.readUInt32LE(at)
  }
}

function findChange(bytes: Buffer, at: number): SnapshotChange | undefined {
  const length = bytes.readUInt32LE(at)
  const end = at + 4 + length
  // A record begins with its version, so that hardly a checksum is made in vain.
  const isPlausible =
    length > 0 &&
    length <= maxRecordBytes &&
    end + 4 <= bytes.length &&
    bytes[at + 4] === 1
  if (!isPlausible || crc32(bytes.subarray(at, end)) !== bytes.readUInt32LE(end)) {
    return undefined
  }
  try {
    return decodeSnapshotChange(Buffer.from(bytes.subarray(at + 4, end)))
  } catch (error) {
    if (error instanceof InvalidObjectError || error instanceof InvalidArgumentError) {
      return undefined
    }
    throw error
  }
}

type Found = {
  readonly rows: ReadonlyMap<number, SnapshotRow>
  readonly others: readonly SnapshotChange[]
}

// Of two snapshots with one key, the record that told of the end of the first is gone.
function foldRows(changes: Iterable<SnapshotChange>): Found {
  const rows = new Map<number, SnapshotRow>()
  const byKey = new Map<SnapshotKey, number>()
  const others: SnapshotChange[] = []
  for (const change of changes) {
    if (change.kind === 'remove') rows.delete(change.id)
    else if (change.kind === 'put') {
      const before = byKey.get(change.row.key)
      if (before !== undefined && before !== change.row.id) rows.delete(before)
      rows.set(change.row.id, change.row)
      byKey.set(change.row.key, change.row.id)
    } else others.push(change)
  }
  return { rows, others }
}

function keepWhole({ rows, others }: Found, onDisk: ReadonlySet<string>) {
  const table = new SnapshotTable()
  const dropped: SnapshotKey[] = []
  for (const row of rows.values()) {
    if (isWhole(row, rows, onDisk)) table.apply({ kind: 'put', row })
    else dropped.push(row.key)
  }
  for (const change of others) table.apply(change)
  const last = Math.max(0, ...rows.keys(), ...[...onDisk].map(Number))
  table.apply({ kind: 'ids', last })
  return { table, dropped }
}

function isWhole(
  row: SnapshotRow,
  rows: ReadonlyMap<number, SnapshotRow>,
  onDisk: ReadonlySet<string>,
): boolean {
  const isShown = row.kind === 'view' && row.parent !== 0
  if (!isShown && !onDisk.has(String(layerIdOf(row)))) return false
  const seen = new Set<number>([row.id])
  for (let { parent } = row; parent !== 0; ) {
    const below = rows.get(parent)
    if (below?.kind !== 'committed' || seen.has(parent)) return false
    if (!onDisk.has(String(layerIdOf(below)))) return false
    seen.add(parent)
    parent = below.parent
  }
  return true
}
