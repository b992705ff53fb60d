import { NotRepresentableError } from '../../errors.js'
import { type LeftOut, LeftOutList } from '../checkout/left-out.js'
import { showPath } from '../shown-path.js'
import type { TarProgress } from '../tar/export-tar.js'
import type { TarEntry } from '../tar/tar-entry.js'
import { TarSink, type WriteBytes } from '../tar/tar-sink.js'
import { findTarEntry, noTime } from '../tar/tree-member.js'
import type { ChangedNode, LayerChange, LayerChanges } from './layer-change.js'
import { meaningOfName, opaqueName, whiteoutName } from './whiteout-name.js'

/** How changes are written as a layer. */
export type WriteLayerOptions = {
  readonly onProgress?: ((progress: TarProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What was written. */
export type WriteLayerReport = TarProgress & {
  /** What a layer cannot hold. */
  readonly leftOut: readonly LeftOut<'socket'>[]
}

/**
 * Writes changes as a layer of an OCI image: a tar archive in which `.wh.NAME` takes an
 * entry away and `.wh..wh..opq` hides what was in a folder.
 *
 * The folders above a change are in it, too, and all names of a file of which one has
 * changed, so that a layer can be unpacked by itself. The same changes give the same
 * bytes. Throws NotRepresentableError for an entry whose name would be a mark.
 */
export async function writeLayer(
  changes: LayerChanges,
  write: WriteBytes,
  options: WriteLayerOptions = {},
): Promise<WriteLayerReport> {
  const writing = new LayerWriting(write, options)
  for await (const change of changes) {
    options.signal?.throwIfAborted()
    await writing.add(change)
  }
  return await writing.end()
}

type Names = { first: Buffer | undefined; readonly waiting: Buffer[] }
type Folder = { readonly path: Buffer; readonly node: ChangedNode }

class LayerWriting {
  readonly #sink: TarSink
  readonly #options: WriteLayerOptions
  readonly #leftOut = new LeftOutList<'socket'>()
  readonly #names = new Map<string, Names>()
  readonly #progress = { entries: 0, files: 0, bytes: 0 }
  // Folders that are the same themselves, above where the changes stand.
  #unwritten: Folder[] = []

  constructor(write: WriteBytes, options: WriteLayerOptions) {
    this.#sink = new TarSink(write)
    this.#options = options
  }

  async add(change: LayerChange): Promise<void> {
    const { path } = change
    this.#unwritten = this.#unwritten.filter(folder => isAbove(folder.path, path))
    if (change.kind === 'deleted') {
      await this.#writeFolders()
      await this.#mark(replaceName(path, whiteoutName(lastName(path))))
      return
    }
    const { node } = change
    if (change.kind === 'unchanged' && node.kind === 'directory' && !change.isOpaque) {
      this.#unwritten.push({ path, node })
      return
    }
    if (node.links === undefined) {
      await this.#writeFolders()
      await this.#entry(path, node)
    } else await this.#name(path, node, node.links, change.kind)
    if (change.isOpaque) await this.#mark(join(path, opaqueName))
  }

  async end(): Promise<WriteLayerReport> {
    await this.#sink.end()
    this.#report()
    return { ...this.#progress, leftOut: this.#leftOut.finish() }
  }

  // A name of a file that has several: those that are the same wait for one that is not.
  async #name(
    path: Buffer,
    node: ChangedNode,
    links: string,
    kind: LayerChange['kind'],
  ): Promise<void> {
    const names = this.#names.get(links) ?? { first: undefined, waiting: [] }
    this.#names.set(links, names)
    if (names.first === undefined && kind === 'unchanged') {
      names.waiting.push(path)
      return
    }
    await this.#writeFolders()
    if (names.first !== undefined) {
      await this.#entry(path, node, names.first)
      return
    }
    if (!(await this.#entry(path, node))) return
    names.first = path
    for (const waiting of names.waiting.splice(0)) await this.#entry(waiting, node, path)
  }

  async #writeFolders(): Promise<void> {
    for (const { path, node } of this.#unwritten.splice(0)) await this.#entry(path, node)
  }

  async #entry(path: Buffer, node: ChangedNode, linkTo?: Buffer): Promise<boolean> {
    checkName(path)
    const place = { path: path.length === 0 ? dot : path, time: node.time, linkTo }
    const entry = findTarEntry(node, place)
    if (entry === undefined) {
      this.#leftOut.add('socket', () => path)
      return false
    }
    await this.#sink.entry(entry)
    this.#progress.entries++
    if (entry.kind === 'regular') await this.#content(node)
    this.#report()
    return true
  }

  async #content(node: ChangedNode): Promise<void> {
    this.#progress.files++
    for await (const chunk of node.content()) {
      this.#options.signal?.throwIfAborted()
      await this.#sink.content(chunk)
      this.#progress.bytes += chunk.length
    }
  }

  async #mark(path: Buffer): Promise<void> {
    await this.#sink.entry({ ...mark, path })
    this.#progress.entries++
  }

  #report(): void {
    this.#options.onProgress?.({ ...this.#progress })
  }
}

const dot = Buffer.from('.')
const slash = Buffer.from('/')

const mark: Omit<TarEntry, 'path'> = {
  kind: 'regular',
  permissions: 0,
  uid: 0,
  gid: 0,
  rdev: 0,
  size: 0,
  time: noTime,
  target: Buffer.alloc(0),
  xattrs: [],
}

function checkName(path: Buffer): void {
  if (meaningOfName(lastName(path)).kind === 'entry') return
  throw new NotRepresentableError(
    `${showPath(path)} has a name that takes entries away in a layer`,
    { path: showPath(path) },
  )
}

function isAbove(folder: Buffer, path: Buffer): boolean {
  if (folder.length === 0) return true
  return (
    path[folder.length] === slash[0] && path.subarray(0, folder.length).equals(folder)
  )
}

function lastName(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(slash) + 1)
}

function replaceName(path: Buffer, name: Buffer): Buffer {
  return Buffer.concat([path.subarray(0, path.lastIndexOf(slash) + 1), name])
}

function join(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, slash, name])
}
