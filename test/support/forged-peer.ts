import type { Duplex } from 'node:stream'
import { type AlgorithmName, findAlgorithmByName } from '../../lib/object/algorithm.js'
import { encodeApplication } from '../../lib/object/application.js'
import { ByteWriter } from '../../lib/object/byte-writer.js'
import { type Descriptor, noSubObjects } from '../../lib/object/descriptor.js'
import type { Digest } from '../../lib/object/digest.js'
import { digestObject } from '../../lib/object/digester.js'
import { type DirectoryEntry, encodeDirectory } from '../../lib/object/directory.js'
import { encodeHeader } from '../../lib/object/header.js'
import type { ObjectType } from '../../lib/object/object-type.js'
import { PeerConnection } from '../../lib/remote/peer-connection.js'
import { readWireItem, type WireItem } from '../../lib/remote/wire-item.js'

/** An object as a hostile peer may make it: nothing of it is checked. */
export type ForgedObject = { readonly descriptor: Descriptor; readonly payload: Buffer }

/** What a forged descriptor says instead of the truth. */
export type Lies = Partial<Descriptor> & { readonly algorithm?: AlgorithmName }

/** Makes an object of any bytes, with its right digest unless told otherwise. */
export function forge(
  type: ObjectType,
  payload: Uint8Array,
  { algorithm = 'sha512-256', ...lies }: Lies = {},
): ForgedObject {
  const found = findAlgorithmByName(algorithm)
  if (found === undefined) throw new Error(`no algorithm ${algorithm}`)
  const bytes = Buffer.from(payload)
  const digest = digestObject(found, type, bytes)
  const descriptor = { digest, size: bytes.length, type, ...noSubObjects, ...lies }
  return { descriptor, payload: bytes }
}

/** A directory's header, the same for all. */
export function forgeHeader(lies: Lies = {}): ForgedObject {
  const header = { mode: 0x800001ed, rdev: 0, uid: 0, gid: 0, xattrs: [] }
  return forge('header', encodeHeader(header), lies)
}

/** An entry that names a file. */
export function fileEntry(
  name: string | Buffer,
  header: ForgedObject,
  file: ForgedObject,
): DirectoryEntry {
  return {
    kind: 'regular',
    name: Buffer.from(name),
    header: header.descriptor,
    file: file.descriptor,
  }
}

/** An entry that names a directory. */
export function directoryEntry(
  name: string,
  header: ForgedObject,
  { descriptor }: ForgedObject,
): DirectoryEntry {
  return {
    kind: 'directory',
    name: Buffer.from(name),
    header: header.descriptor,
    directory: descriptor,
  }
}

/** A directory with totals that fit, unless told otherwise. */
export function forgeDirectory(
  entries: readonly DirectoryEntry[],
  lies: Lies = {},
): ForgedObject {
  const payload = encodeDirectory(entries)
  let subObjectCount = 0
  let subObjectsSize = 0n
  for (const entry of entries) {
    subObjectCount += 1
    subObjectsSize += BigInt(entry.header.size)
    if (entry.kind === 'regular') {
      subObjectCount += 1
      subObjectsSize += BigInt(entry.file.size)
    } else if (entry.kind === 'directory') {
      subObjectCount += 1 + entry.directory.subObjectCount
      subObjectsSize += BigInt(entry.directory.size) + entry.directory.subObjectsSize
    }
  }
  return forge('directory', payload, { subObjectCount, subObjectsSize, ...lies })
}

/** An application over a root directory. */
export function forgeApplication(
  header: ForgedObject,
  root: ForgedObject,
  lies: Lies = {},
): ForgedObject {
  const payload = encodeApplication({
    rootHeader: header.descriptor,
    rootDirectory: root.descriptor,
  })
  const { size, subObjectCount, subObjectsSize } = root.descriptor
  return forge('application', payload, {
    subObjectCount: 2 + subObjectCount,
    subObjectsSize: BigInt(header.descriptor.size) + BigInt(size) + subObjectsSize,
    ...lies,
  })
}

/** Writes a directory payload of one entry whose name is any bytes. */
export function directoryWithName(
  name: Uint8Array,
  header: ForgedObject,
  file: ForgedObject,
): Buffer {
  return new ByteWriter()
    .u32(1, 'count')
    .prefixed(name, 'name')
    .u8(6)
    .u16(0)
    .digest(header.descriptor.digest)
    .size(header.descriptor.size, 'size')
    .digest(file.descriptor.digest)
    .size(file.descriptor.size, 'size')
    .u32(0, 'count')
    .u64(0n, 'size')
    .finish()
}

/** Chains `depth` directories, each the only entry of the one before; gives all, deepest first. */
export function forgeChain(header: ForgedObject, depth: number): ForgedObject[] {
  const chain = [forgeDirectory([])]
  for (let level = 1; level < depth; level++) {
    const below = chain[level - 1]
    if (below !== undefined)
      chain.push(forgeDirectory([directoryEntry('d', header, below)]))
  }
  return chain
}

/** Answers wants with the payloads of a table, as they come, until done or the end. */
export async function serveForged(
  stream: Duplex,
  objects: readonly ForgedObject[],
): Promise<WireItem[]> {
  const table = new Map<Digest, Buffer>(
    objects.map(({ descriptor, payload }) => [descriptor.digest, payload]),
  )
  const items: WireItem[] = []
  await using peer = new PeerConnection(stream)
  for (;;) {
    const item = await readWireItem(peer)
    if (item === undefined) return items
    items.push(item)
    if (item.kind === 'done') return items
    if (item.kind === 'want') {
      await peer.write(table.get(item.descriptor.digest) ?? Buffer.alloc(0))
    }
  }
}

/**
 * Answers wants, but each only when no further one comes; gives the largest number of wants
 * that were open at a time.
 */
export async function answerLate(
  stream: Duplex,
  table: ReadonlyMap<Digest, Buffer>,
): Promise<number> {
  const open: Digest[] = []
  let most = 0
  await using peer = new PeerConnection(stream)
  const answer = async (seen: number): Promise<void> => {
    await new Promise(resolve => {
      setImmediate(resolve)
    })
    if (open.length !== seen) return answer(open.length)
    const next = open.shift()
    if (next === undefined) return
    await peer.write(table.get(next) ?? Buffer.alloc(0))
    return answer(open.length)
  }
  let answering = Promise.resolve()
  for (;;) {
    const item = await readWireItem(peer)
    if (item === undefined || item.kind === 'done') return most
    if (item.kind === 'skip') continue
    open.push(item.descriptor.digest)
    most = Math.max(most, open.length)
    if (open.length === 1) answering = answering.then(() => answer(0))
  }
}
