import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DiskChange, DiskRecord, Node, RecordedChange } from './disk-record.js'

/** What becomes of a change that nothing made durable before the power went. */
type Fate = 'kept' | 'lost'

/** What becomes of bytes that nothing made durable: of what was half written, too. */
type ByteFate = Fate | 'half' | 'zeros'

/** How the disk decides. */
export type Chance = {
  readonly name: () => Fate
  readonly bytes: () => ByteFate
}

/** What a disk holds: bytes of files, names of folders. */
type State = {
  readonly files: Map<Node, Buffer>
  readonly folders: Map<Node, Map<string, Node>>
}

/**
 * Writes into `folder` what a disk may hold when the power goes after some changes.
 *
 * What was synced is there. Every other change, of a name or of bytes, is there or not,
 * as chance has it, whatever their order was; a rename is there or not as a whole.
 */
export function writeLossyState(
  record: DiskRecord,
  { changes, folder, chance }: { changes: number; folder: string; chance: Chance },
): void {
  const done = record.changes.slice(0, changes)
  const durable = durableUntil(done)
  const state: State = { files: new Map(record.contents), folders: new Map() }
  for (const change of record.initial) apply(state, change, surely)
  for (const { at, change } of done) {
    const node = nodeOf(change)
    const isDurable = node !== undefined && at < durable(node)
    apply(state, change, isDurable ? surely : chance)
  }
  write(state, record.top, folder)
}

const surely: Chance = { name: () => 'kept', bytes: () => 'kept' }

/** For every node the call before which everything done to it is durable. */
function durableUntil(done: readonly RecordedChange[]): (node: Node) => number {
  const synced = new Map<Node, number>()
  let all = 0
  for (const { change } of done) {
    if (change.kind !== 'sync') continue
    if (change.node === 'all') all = Math.max(all, change.began)
    else synced.set(change.node, Math.max(synced.get(change.node) ?? 0, change.began))
  }
  return node => Math.max(all, synced.get(node) ?? 0)
}

/** What has to be synced for a change to last. */
function nodeOf(change: DiskChange): Node | undefined {
  if (change.kind === 'name' || change.kind === 'unname') return change.folder
  if (change.kind === 'move') return change.to.folder
  if (change.kind === 'write' || change.kind === 'cut') return change.node
  return undefined
}

function apply({ files, folders }: State, change: DiskChange, chance: Chance): void {
  const namesOf = (folder: Node): Map<string, Node> => {
    const names = folders.get(folder) ?? new Map<string, Node>()
    folders.set(folder, names)
    return names
  }
  switch (change.kind) {
    case 'name':
      if (chance.name() === 'kept') namesOf(change.folder).set(change.name, change.node)
      return
    case 'unname':
      if (chance.name() === 'kept') namesOf(change.folder).delete(change.name)
      return
    case 'move': {
      if (chance.name() === 'lost') return
      const { from, to, node } = change
      if (namesOf(from.folder).get(from.name) === node) {
        namesOf(from.folder).delete(from.name)
      }
      namesOf(to.folder).set(to.name, node)
      return
    }
    case 'write': {
      const { node, offset, bytes } = change
      const kept = survivingBytes(bytes, chance.bytes())
      if (kept !== undefined) files.set(node, overlay(files.get(node), offset, kept))
      return
    }
    case 'cut':
      if (chance.bytes() === 'kept') {
        const before = files.get(change.node) ?? Buffer.alloc(0)
        const cut = Buffer.alloc(change.size)
        before.copy(cut)
        files.set(change.node, cut)
      }
      return
    case 'sync':
    case 'told':
  }
}

function survivingBytes(bytes: Buffer, fate: ByteFate): Buffer | undefined {
  if (fate === 'lost') return undefined
  if (fate === 'half') return bytes.subarray(0, Math.floor(bytes.length / 2))
  return fate === 'zeros' ? Buffer.alloc(bytes.length) : bytes
}

function overlay(before: Buffer | undefined, offset: number, bytes: Buffer): Buffer {
  const after = Buffer.alloc(Math.max(before?.length ?? 0, offset + bytes.length))
  before?.copy(after)
  bytes.copy(after, offset)
  return after
}

function write({ files, folders }: State, top: Node, folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const [name, node] of folders.get(top) ?? []) {
    const path = join(folder, name)
    if (node.kind === 'folder') write({ files, folders }, node, path)
    else writeFileSync(path, files.get(node) ?? Buffer.alloc(0), { mode: 0o600 })
  }
}
