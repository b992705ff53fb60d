import { mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { DriverName } from '../../../lib/snapshot/driver/snapshot-driver.js'
import type { Labels, Mount, SnapshotInfo } from '../../../lib/snapshot/snapshot.js'
import { parseSnapshotKey, type SnapshotKey } from '../../../lib/snapshot/snapshot-key.js'
import type { Snapshotter } from '../../../lib/snapshot/snapshotter.js'
import { mount, unmount } from '../../../lib/system/mount.js'

/** A snapshotter that a contract is tested on. */
export type Subject = {
  readonly snapshotter: Snapshotter
  readonly driver: DriverName
  /** Its root. */
  readonly root: string
  /** A folder for the test. */
  readonly folder: string
  /** Ends it and opens it again; the snapshotter before is of no use any more. */
  readonly reopen: () => Promise<Snapshotter>
}

/** Makes a snapshotter that ends with the test. */
export type MakeSubject = (t: Test) => Promise<Subject>

export const key = (text: string): SnapshotKey => parseSnapshotKey(text)

export const labels = (record: Readonly<Record<string, string>>): Labels =>
  new Map(Object.entries(record))

/** Runs an action in a folder where a snapshot is mounted. */
export async function mounted(
  { folder }: Pick<Subject, 'folder'>,
  mounts: readonly Mount[],
  action: (root: string) => unknown,
): Promise<void> {
  const target = mkdtempSync(join(folder, 'm'))
  let count = 0
  try {
    for (const each of mounts) {
      mount(target, each)
      count += 1
    }
    await action(target)
  } finally {
    for (; count > 0; count--) unmount(target)
  }
}

/** What a layer is put on, and what is done in it. */
export type LayerStep = {
  readonly name: string
  readonly parent?: string
  readonly change?: (root: string) => unknown
}

/** Prepares, changes and commits a snapshot. */
export async function commitLayer(subject: Subject, step: LayerStep): Promise<void> {
  const { name, parent = '', change } = step
  const active = key(`${name}-active`)
  const { snapshotter } = subject
  const mounts = await snapshotter.prepare(active, { parent: key(parent) })
  if (change !== undefined) await mounted(subject, mounts, change)
  await snapshotter.commit(key(name), active)
}

/** Looks at what a committed snapshot shows, through a view. */
export async function lookAt(
  subject: Subject,
  name: string,
  look: (root: string) => unknown,
): Promise<void> {
  const view = key(`${name}-view`)
  const mounts = await subject.snapshotter.view(view, { parent: key(name) })
  await mounted(subject, mounts, look)
  await subject.snapshotter.remove(view)
}

/** All snapshots that a walk tells of. */
export async function walkAll(
  snapshotter: Snapshotter,
  filters: readonly string[] = [],
): Promise<SnapshotInfo[]> {
  const found: SnapshotInfo[] = []
  for await (const batch of snapshotter.walk(filters)) found.push(...batch)
  return found
}

/** Makes folders, with those above them. */
export function makeFolders(root: string, ...paths: readonly string[]): void {
  for (const path of paths) mkdirSync(join(root, path), { recursive: true })
}
