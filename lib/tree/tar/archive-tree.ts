import type { Application } from '../../object/application.js'
import { modeOf } from '../../object/file-mode.js'
import type { Header } from '../../object/header.js'
import type { StoreSession } from '../../store/object-store.js'
import { type LeftOut, LeftOutList } from '../checkout/left-out.js'
import { type ArchivePlace, invalidArchive, showArchivePath } from './archive-error.js'
import { splitArchivePath } from './archive-path.js'
import { EntryTable, rootEntryNumber } from './entry-table.js'
import type { TarProgress } from './export-tar.js'
import type { LostFact } from './pax-header.js'
import { type BaseTree, loadStoredTree } from './stored-tree.js'
import type { TarEntry } from './tar-entry.js'
import type { TarMember } from './tar-reader.js'
import { type AssembledTree, TreeAssembly } from './tree-assembly.js'
import { noTime } from './tree-member.js'

/** How the entries of an archive are put together. */
export type ArchiveTreeOptions = {
  /** Entries, those that are replaced later and folders that are only implied counted in; 10 million unless given. */
  readonly maxEntries?: number | undefined
  /** Bytes of memory for what entries are; 1.5 GiB unless given. */
  readonly maxTableBytes?: number | undefined
  readonly onProgress?: ((progress: TarProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Files up to this size are stored many at once. */
const smallFileBytes = 512 * 1024
const reportEntries = 256

const impliedFolder: Header = {
  mode: modeOf('directory', 0o755),
  rdev: 0,
  uid: 0,
  gid: 0,
  xattrs: [],
}

/** A tree that grows entry by entry of an archive, and is stored while it grows. */
export class ArchiveTree {
  readonly table: EntryTable
  readonly #assembly: TreeAssembly
  readonly #session: StoreSession
  readonly #options: ArchiveTreeOptions
  readonly #leftOut = new LeftOutList<LostFact>()
  readonly #progress = { entries: 0, files: 0, bytes: 0 }
  // The folder of the last entry: the next one is mostly in the same.
  #folder = { path: Buffer.alloc(0), number: rootEntryNumber }

  constructor(session: StoreSession, options: ArchiveTreeOptions) {
    const { maxEntries = 10_000_000, maxTableBytes = 1536 * 1024 ** 2 } = options
    this.table = new EntryTable({ maxEntries, maxBytes: maxTableBytes })
    this.#assembly = new TreeAssembly(this.table, session)
    this.#session = session
    this.#options = options
    this.#imply(rootEntryNumber)
  }

  /** Takes a stored tree over, which the archive then changes; before anything is added. */
  async load(base: BaseTree): Promise<Application> {
    return await loadStoredTree(this.table, base, this.#options.signal)
  }

  /**
   * Takes away what a stored tree that was loaded has at a path; what the archive itself
   * has put there stays.
   */
  hide(folder: readonly Buffer[], name: Buffer, place: ArchivePlace): void {
    const found = this.find([...folder, name], place)
    if (found === undefined) return
    if (!this.table.isTouched(found)) this.#forget(found)
    else if (this.table.kind(found) === 'directory') this.#hideBelow(found)
  }

  /** As hide, for everything in a folder. */
  hideAll(folder: readonly Buffer[], place: ArchivePlace): void {
    const found = this.find(folder, place)
    if (found === undefined) return
    this.#checkFolder(found, folder, place)
    this.#hideBelow(found)
  }

  /** Adds an entry, and stores its content. */
  async add(member: TarMember): Promise<void> {
    const { entry, offset, lost } = member
    const place = { offset, path: entry.path }
    const number = this.#addEntry(entry, place)
    for (const fact of lost) this.#leftOut.add(fact, () => Buffer.from(entry.path))
    if (entry.kind === 'regular') await this.#store(number, member)
    await this.#assembly.settle()
    this.#progress.entries++
    if (this.#progress.entries % reportEntries === 0) this.#report()
  }

  /** Stores what has to wait for the last entry. */
  async finish(): Promise<
    AssembledTree & { readonly leftOut: LeftOut<LostFact>[]; readonly bytes: number }
  > {
    const assembled = await this.#assembly.finish(this.#options.signal)
    this.#report()
    return {
      ...assembled,
      leftOut: this.#leftOut.finish(),
      bytes: this.#progress.bytes,
    }
  }

  /** Finds what lies at a path; undefined for nothing. Throws where the way is no folder. */
  find(names: readonly Buffer[], place: ArchivePlace): number | undefined {
    let number = rootEntryNumber
    for (const [depth, name] of names.entries()) {
      this.#checkFolder(number, names.slice(0, depth), place)
      const child = this.table.find(number, name)
      if (child === undefined) return undefined
      number = child
    }
    return number
  }

  #addEntry(entry: TarEntry, place: ArchivePlace): number {
    const { table } = this
    const names = splitArchivePath(entry.path, place, 'path')
    const name = names.at(-1)
    if (name === undefined) {
      if (entry.kind !== 'directory') {
        throw invalidArchive(place, 'the root of a tree is a directory', {
          found: `a ${entry.kind}`,
        })
      }
      this.#describe(rootEntryNumber, entry)
      return rootEntryNumber
    }
    const target = entry.kind === 'hard-link' ? this.#findTarget(entry, place) : undefined
    const folder = this.#folderOf(entry.path, names, place)
    const before = table.find(folder, name)
    if (target !== undefined) {
      // A link to itself changes nothing.
      if (target === before) return before
      const number = this.#replace(before, () => table.link(folder, name, target))
      table.touch(number)
      return number
    }
    if (entry.kind === 'hard-link') throw new Error('a hard link without a target')
    const { kind } = entry
    const keepsFolder =
      before !== undefined && kind === 'directory' && table.kind(before) === 'directory'
    const number = keepsFolder
      ? before
      : this.#replace(before, () => table.add(folder, name, kind))
    this.#describe(number, entry)
    if (kind === 'symlink') table.setTarget(number, entry.target)
    return number
  }

  #hideBelow(folder: number): void {
    const folders = [folder]
    for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
      for (const child of this.table.children(next)) {
        if (!this.table.isTouched(child)) this.#forget(child)
        else if (this.table.kind(child) === 'directory') folders.push(child)
      }
    }
  }

  #forget(number: number): void {
    this.table.remove(number)
    // What the last folder was may be gone with it.
    this.#folder = { path: Buffer.alloc(0), number: rootEntryNumber }
  }

  #replace(before: number | undefined, add: () => number): number {
    // What the last folder was may be gone with this.
    if (before !== undefined && this.table.kind(before) === 'directory') {
      this.#folder = { path: Buffer.alloc(0), number: rootEntryNumber }
    }
    return add()
  }

  #describe(number: number, entry: TarEntry): void {
    if (entry.kind === 'hard-link') throw new Error('a hard link says nothing of its own')
    const { permissions, rdev, uid, gid, xattrs } = entry
    const mode = modeOf(entry.kind, permissions)
    this.#assembly.setHeader(number, { mode, rdev, uid, gid, xattrs })
    this.table.setTime(number, entry.time)
    this.table.touch(number)
  }

  #findTarget(entry: TarEntry, place: ArchivePlace): number {
    const names = splitArchivePath(entry.target, place, 'link target')
    const target = this.find(names, place)
    if (target === undefined) {
      throw invalidArchive(place, 'a hard link to an entry that is not there', {
        found: showArchivePath(entry.target),
      })
    }
    if (this.table.kind(target) !== 'directory') return target
    throw invalidArchive(place, 'a hard link to a directory', {
      found: showArchivePath(entry.target),
    })
  }

  // The folder that an entry goes into; what is missing on the way is made.
  #folderOf(path: Buffer, names: readonly Buffer[], place: ArchivePlace): number {
    const { table } = this
    const last = path.at(-1) === 0x2f ? path.length - 1 : path.length
    const above = path.subarray(0, path.lastIndexOf(0x2f, last - 1) + 1)
    if (above.length > 0 && above.equals(this.#folder.path)) return this.#folder.number
    let number = rootEntryNumber
    for (const [depth, name] of names.slice(0, -1).entries()) {
      const child = table.find(number, name)
      if (child === undefined) {
        number = table.add(number, name, 'directory')
        this.#imply(number)
      } else number = child
      this.#checkFolder(number, names.slice(0, depth + 1), place)
      table.touch(number)
    }
    this.#folder = { path: Buffer.from(above), number }
    return number
  }

  #checkFolder(number: number, names: readonly Buffer[], place: ArchivePlace): void {
    const kind = this.table.kind(number)
    if (kind === 'directory') return
    const path = Buffer.concat(names.flatMap(name => [name, Buffer.from('/')]))
    throw invalidArchive(place, 'a path leads through something that is no directory', {
      expected: `a directory at ${showArchivePath(path)}`,
      found: `a ${kind}`,
    })
  }

  #imply(number: number): void {
    this.#assembly.setHeader(number, impliedFolder)
    this.table.setTime(number, noTime)
  }

  async #store(number: number, { entry, content }: TarMember): Promise<void> {
    this.#progress.files++
    this.#progress.bytes += entry.size
    if (entry.size <= smallFileBytes) {
      this.#assembly.addFile(number, await content.read())
      return
    }
    await using writer = await this.#session.stream({ type: 'file', size: entry.size })
    for await (const chunk of content.chunks()) {
      this.#options.signal?.throwIfAborted()
      await writer.write(chunk)
    }
    this.table.setFile(number, await writer.commit())
    this.#report()
  }

  #report(): void {
    this.#options.onProgress?.({ ...this.#progress })
  }
}
