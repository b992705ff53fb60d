import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { Digest } from '../../lib/object/digest.js'
import { escapeBytes } from '../../lib/object/escape.js'
import { MemoryStore } from '../../lib/store/memory-store.js'
import type { StoreSession } from '../../lib/store/object-store.js'
import type { LayerChanges } from '../../lib/tree/changes/layer-change.js'
import type { StoredTreePart } from '../../lib/tree/changes/tree-changes.js'
import { writeLayer } from '../../lib/tree/changes/write-layer.js'
import { storeApplication } from '../../lib/tree/source/store-application.js'
import { resolveTreePath } from '../../lib/tree/tree-path.js'
import { makeHardTree } from './hard-tree.js'

/** A folder with one of everything that a layer can hold, and names that go away. */
export function makeLowerTree(folder: string): void {
  makeHardTree(folder)
  shell(folder, [
    `rm -rf socket ${'d'.repeat(250)}`,
    'mkdir -p gone/deep kept/inner turned replaced/old same/inner',
    'echo x > gone/deep/file; echo y > kept/inner/file; echo z > turned/file',
    'echo old > replaced/old/file; echo same > same/inner/file',
    'echo one > a1; ln a1 a2; ln a1 a3; echo single > single',
    'touch -d @1111111111.5 a1 single kept/inner/file same/inner/file same/inner same',
  ])
}

/** What changes it in every way. */
export function changeTree(folder: string): void {
  shell(folder, [
    'rm -rf gone; echo more >> kept/inner/file; echo new > kept/inner/new',
    'rm -rf turned; echo now-a-file > turned',
    'rm -rf replaced; mkdir replaced; echo new > replaced/file',
    'rm single; mkdir single; echo below > single/file',
    'echo changed >> a1; ln same/inner/file same/inner/linked',
    'rm fifo-again; chmod 0600 noted; chown 7:8 link -h; rm setuid',
    'setfattr -n user.new -v value noted; mkdir -p brand/new/folders',
    'mknod brand/null c 1 3; ln -s target brand/soft; touch -d @5.25 brand/new',
  ])
}

/** A copy of a folder with everything that it has. */
export function copyFolder(from: string, to: string): void {
  execFileSync('cp', ['-a', from, to])
}

/** A folder stored with its times in a store of its own. */
export async function storePart(
  folder: string,
  store = new MemoryStore(),
): Promise<StoredTreePart & { readonly digest: Digest; readonly store: MemoryStore }> {
  await using session = await beginIn(store)
  const { descriptor } = await storeApplication(folder, session, { mtimes: true })
  await session.publish([descriptor.digest])
  const node = await resolveTreePath(store, descriptor.digest)
  return { reader: store, node, digest: descriptor.digest, store }
}

/** Begins to add to a store in memory. */
export async function beginIn(store: MemoryStore): Promise<StoreSession> {
  const algorithm = findAlgorithmByName('blake3')
  if (algorithm === undefined) throw new Error('no blake3')
  return await store.begin({ algorithm, folder: '', publishing: 'whole' })
}

/** Changes as a layer. */
export async function layerOf(changes: LayerChanges): Promise<Buffer> {
  const chunks: Buffer[] = []
  await writeLayer(changes, async bytes => void chunks.push(Buffer.from(bytes)))
  return Buffer.concat(chunks)
}

/** Changes in lines, without what is on the way only. */
export async function describeChanges(changes: LayerChanges): Promise<string[]> {
  const letters = { added: 'A', modified: 'C', deleted: 'D', unchanged: '' }
  const lines: string[] = []
  for await (const change of changes) {
    if (change.kind === 'unchanged') continue
    const opaque = change.kind !== 'deleted' && change.isOpaque ? ' opaque' : ''
    lines.push(`${letters[change.kind]} /${escapeBytes(change.path)}${opaque}`)
  }
  return lines
}

/** Runs lines in a folder by the shell, each of which must succeed. */
export function shell(folder: string, lines: readonly string[]): void {
  execFileSync('sh', ['-ec', lines.join('\n')], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** Where trees of a test lie. */
export function placesIn(folder: string): { lower: string; upper: string; out: string } {
  return {
    lower: join(folder, 'lower'),
    upper: join(folder, 'upper'),
    out: join(folder, 'out'),
  }
}
