import type { ObjectReader } from '../../store/object-store.js'
import { planCheckout, type TreeRoot } from '../checkout/checkout-plan.js'
import { type LeftOut, LeftOutList } from '../checkout/left-out.js'
import { WalkCursor } from '../checkout/walk-cursor.js'
import { listTree, type TreeEntry } from '../list.js'
import { resolveTreePath } from '../tree-path.js'
import { TreeReader } from '../tree-reader.js'
import { ContentReader, type WantedFile } from './content-reader.js'
import { TarSink, type WriteBytes } from './tar-sink.js'
import { findTarEntry } from './tree-member.js'

/** How a tree is written as an archive. */
export type TarExportOptions = {
  /** One modification time for everything, in seconds since 1970-01-01 UTC. */
  readonly touchSeconds?: bigint | undefined
  /** Larger trees are refused; 100 million unless given. */
  readonly maxEntries?: number | undefined
  readonly onProgress?: ((progress: TarProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** How far an export or import is. */
export type TarProgress = {
  /** Entries so far, the root counted in where there is one. */
  readonly entries: number
  readonly files: number
  /** Content bytes. */
  readonly bytes: number
}

/** What an export did. */
export type TarExportReport = TarProgress & {
  /** What an archive cannot hold. */
  readonly leftOut: readonly LeftOut<'socket'>[]
}

const defaultMaxEntries = 100_000_000

/**
 * Writes a stored tree, or the part at a path inside it, as a tar archive (PAX).
 *
 * A folder's own entry is `./`, what is in it follows in stored order, a folder before its
 * content; anything else is the one entry of its name. The same tree gives the same bytes.
 * Without recorded modification times all are 0. Owners are numbers, their names empty.
 * Further names of a file are hard links to the first; holes are written as zeros; sockets
 * are left out and reported.
 *
 * What cannot be exported whole is refused before the first byte, damaged contents when
 * they are met: then the archive is cut off. Throws as checkout does.
 */
export async function exportTar(
  reader: ObjectReader,
  root: TreeRoot,
  write: WriteBytes,
  options: TarExportOptions = {},
): Promise<TarExportReport> {
  const { maxEntries = defaultMaxEntries, touchSeconds, signal } = options
  const tree = new TreeReader(reader, { strictness: 'strict' })
  const found = await resolveTreePath(reader, root.application, root.path)
  const plan = await planCheckout(tree, found, {
    maxEntries,
    signal,
    ownerMap: undefined,
  })
  const touch =
    touchSeconds === undefined ? undefined : { seconds: touchSeconds, nanoseconds: 0 }
  const { node, start, entries, hardLinks, modificationTimes } = plan
  const run = new TarExport(reader, write, options, {
    cursor: new WalkCursor(start, modificationTimes, touch),
    links: new FirstNames(hardLinks, { start, end: start + entries }),
    skip: node.path.length === 0 ? 0 : node.path.length + 1,
  })
  if (node.kind === 'directory') await run.root(node)
  for await (const batch of listTree(reader, node, { recursive: true, signal })) {
    await run.batch(batch)
  }
  return await run.end()
}

type ExportParts = {
  readonly cursor: WalkCursor
  readonly links: FirstNames
  /** Bytes in front of a path that do not belong into the archive. */
  readonly skip: number
}

class TarExport {
  readonly #sink: TarSink
  readonly #contents: ContentReader
  readonly #options: TarExportOptions
  readonly #parts: ExportParts
  readonly #leftOut = new LeftOutList<'socket'>()
  readonly #progress = { entries: 0, files: 0, bytes: 0 }

  constructor(
    reader: ObjectReader,
    write: WriteBytes,
    options: TarExportOptions,
    parts: ExportParts,
  ) {
    this.#sink = new TarSink(write)
    this.#contents = new ContentReader(reader)
    this.#options = options
    this.#parts = parts
  }

  async root(node: Pick<TreeEntry, 'path' | 'entry' | 'kind' | 'header'>): Promise<void> {
    const described = { ...node, size: undefined, object: undefined, target: undefined }
    await this.#add(described, Buffer.from('.'))
  }

  async batch(entries: readonly TreeEntry[]): Promise<void> {
    for (let at = 0; at < entries.length; ) {
      const rest = entries.slice(at)
      const covered = await this.#contents.readAhead(rest.map(findFile))
      for (const entry of rest.slice(0, covered)) {
        this.#options.signal?.throwIfAborted()
        await this.#add(entry, this.#pathOf(entry))
      }
      at += covered
      this.#report()
    }
  }

  async end(): Promise<TarExportReport> {
    await this.#sink.end()
    this.#report()
    return { ...this.#progress, leftOut: this.#leftOut.finish() }
  }

  async #add(described: TreeEntry, path: Buffer): Promise<void> {
    const { cursor, links } = this.#parts
    const { ordinal, time } = cursor.next()
    const linkTo = links.find(ordinal)
    const entry = findTarEntry(described, { path, time, linkTo })
    if (entry === undefined) {
      this.#leftOut.add('socket', () => described.path)
      return
    }
    links.note(ordinal, path)
    await this.#sink.entry(entry)
    this.#progress.entries++
    if (entry.kind !== 'regular') return
    this.#progress.files++
    const file = findFile(described)
    if (file === undefined) return
    for await (const chunk of this.#contents.chunks(file)) {
      this.#options.signal?.throwIfAborted()
      await this.#sink.content(chunk)
      this.#progress.bytes += chunk.length
      if (file.file.size > chunk.length) this.#report()
    }
  }

  #pathOf({ path }: TreeEntry): Buffer {
    const { skip } = this.#parts
    // The one entry of an export that is no folder keeps its name.
    return path.length < skip
      ? path.subarray(path.lastIndexOf(0x2f) + 1)
      : path.subarray(skip)
  }

  #report(): void {
    this.#options.onProgress?.({ ...this.#progress })
  }
}

function findFile({ path, entry }: TreeEntry): WantedFile | undefined {
  return entry.kind === 'regular' ? { path, file: entry.file } : undefined
}

/** Remembers the first name of each file that has several. */
class FirstNames {
  readonly #groups = new Map<number, { path: Buffer | undefined; left: number }>()

  constructor(
    groups: readonly (readonly number[])[],
    range: { readonly start: number; readonly end: number },
  ) {
    for (const members of groups) {
      const inside = members.filter(at => at >= range.start && at < range.end)
      if (inside.length < 2) continue
      const group = { path: undefined, left: inside.length }
      for (const ordinal of inside) this.#groups.set(ordinal, group)
    }
  }

  find(ordinal: number): Buffer | undefined {
    return this.#groups.get(ordinal)?.path
  }

  note(ordinal: number, path: Buffer): void {
    const group = this.#groups.get(ordinal)
    if (group === undefined) return
    group.path ??= Buffer.from(path)
    group.left--
    // Nobody will ask any more: a path can be long.
    if (group.left === 0) group.path = undefined
    this.#groups.delete(ordinal)
  }
}
