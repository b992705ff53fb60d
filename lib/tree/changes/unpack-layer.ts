import { linkSync, mkdirSync, readdirSync } from 'node:fs'
import { modeOf } from '../../object/file-mode.js'
import { makeDevice } from '../../system/special-file.js'
import { setXattr } from '../../system/xattr.js'
import { EntryMaker } from '../checkout/entry-maker.js'
import { type LeftOut, type LeftOutKind, LeftOutList } from '../checkout/left-out.js'
import { type EntryMetadata, MetadataWriter } from '../checkout/metadata-writer.js'
import { removeTree } from '../checkout/remove-tree.js'
import { writingError } from '../checkout/writing-error.js'
import { PathTrail } from '../path-trail.js'
import {
  type ArchivePlace,
  invalidArchive,
  showArchivePath,
} from '../tar/archive-error.js'
import { splitArchivePath } from '../tar/archive-path.js'
import { rootEntryNumber } from '../tar/entry-table.js'
import type { TarProgress } from '../tar/export-tar.js'
import { openArchive } from '../tar/open-archive.js'
import type { LostFact } from '../tar/pax-header.js'
import type { TarEntry } from '../tar/tar-entry.js'
import type { TarMember } from '../tar/tar-reader.js'
import { BroughtEntries } from './brought-entries.js'
import { FolderCursor } from './folder-cursor.js'
import { type FolderFacts, findLowerFacts, impliedFacts } from './folder-metadata.js'
import { type LayerMember, readLayerMember } from './layer-member.js'
import {
  isOverlayAttribute,
  type OverlayNamespace,
  opaqueAttribute,
} from './overlay-marks.js'

/** What becomes of the marks of a layer. */
export type MarkHandling =
  /** They take away what the folder has. */
  | { readonly kind: 'apply' }
  /**
   * They become those of an overlay, whose upper the folder is or will be. Folders that
   * the layer only goes through get what the topmost of `lowers` says of them.
   */
  | {
      readonly kind: 'overlay'
      readonly namespace?: OverlayNamespace
      readonly lowers?: readonly (string | Buffer)[]
    }

/** How a layer is unpacked. */
export type UnpackLayerOptions = {
  readonly marks?: MarkHandling | undefined
  /** As of importTar. */
  readonly maxBytes?: number | undefined
  /** Entries, and folders that are only implied; 2 million unless given. */
  readonly maxEntries?: number | undefined
  readonly onProgress?: ((progress: TarProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What was unpacked. */
export type UnpackLayerReport = TarProgress & {
  /** What this user or platform could not restore, or no tree can hold. */
  readonly leftOut: readonly LeftOut<LeftOutKind | LostFact>[]
}

/**
 * Unpacks a layer of an OCI image, or any tar archive, into a folder on disk.
 *
 * Whatever the archive says, nothing outside of the folder is read, written, linked or
 * changed: each entry is reached name by name from one open directory to the next, and
 * no link is followed; what would lead through one is refused. An entry replaces what has
 * its name, a folder joins a folder. Folders are private (0700) until the end, then get
 * their metadata. After a failure the folder holds a part: the caller removes it.
 *
 * Marks take away, or hide, what was there before, never what the layer itself brings.
 * For an overlay, entries that would themselves be an overlay's marks are refused.
 *
 * Throws InvalidArchiveError, LimitExceededError, DestinationRefusedError with the path,
 * StorageFullError.
 */
export async function unpackLayer(
  archive: AsyncIterable<Uint8Array>,
  folder: string | Buffer,
  options: UnpackLayerOptions = {},
): Promise<UnpackLayerReport> {
  await using members = await openArchive(archive, { maxBytes: options.maxBytes })
  using unpacking = new Unpacking(folder, options)
  for (;;) {
    options.signal?.throwIfAborted()
    const member = await members.next()
    if (member === undefined) break
    try {
      await unpacking.add(member)
    } catch (error) {
      throw writingError(error, () => member.entry.path)
    }
  }
  return unpacking.finish()
}

class Unpacking implements Disposable {
  readonly #options: UnpackLayerOptions
  readonly #overlay: OverlayNamespace | undefined
  readonly #lowers: FolderCursor[] = []
  readonly #cursor: FolderCursor
  readonly #targets: FolderCursor
  readonly #leftOut = new LeftOutList()
  readonly #lost = new LeftOutList<LostFact>()
  readonly #metadata = new MetadataWriter(this.#leftOut, undefined)
  readonly #maker = new EntryMaker(this.#metadata, this.#leftOut, { syncFiles: false })
  // Marks leave alone what the layer has brought itself.
  readonly #brought: BroughtEntries
  readonly #progress = { entries: 0, files: 0, bytes: 0 }

  constructor(folder: string | Buffer, options: UnpackLayerOptions) {
    this.#options = options
    const { marks = { kind: 'apply' } } = options
    this.#overlay = marks.kind === 'overlay' ? (marks.namespace ?? 'trusted') : undefined
    this.#brought = new BroughtEntries(options.maxEntries ?? 2_000_000)
    this.#cursor = new FolderCursor(folder)
    try {
      this.#targets = new FolderCursor(folder)
      for (const lower of marks.kind === 'overlay' ? (marks.lowers ?? []) : []) {
        this.#lowers.push(new FolderCursor(lower))
      }
    } catch (error) {
      this[Symbol.dispose]()
      throw error
    }
  }

  async add(member: TarMember): Promise<void> {
    const meaning = readLayerMember(member)
    for (const fact of member.lost) {
      this.#lost.add(fact, () => Buffer.from(member.entry.path))
    }
    switch (meaning.kind) {
      case 'entry':
        await this.#addEntry(member, meaning)
        break
      case 'whiteout':
        this.#hide(meaning, meaning.name)
        break
      case 'opaque':
        this.#hideAll(meaning)
        break
      case 'meta':
        break
      default:
        meaning satisfies never
    }
    this.#progress.entries++
    this.#report()
  }

  /** Gives folders what they shall be, the innermost first. */
  finish(): UnpackLayerReport {
    this.#cursor.go([])
    const trail = new PathTrail()
    const levels = [this.#openFolder(rootEntryNumber)]
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const next = level.folders.next()
      if (next.done !== true) {
        const { number, name } = next.value
        if (this.#cursor.enter(name) !== undefined) continue
        trail.enter(name)
        levels.push(this.#openFolder(number))
        continue
      }
      this.#finishFolder(level.number, () => trail.here)
      levels.pop()
      if (levels.length > 0) this.#cursor.leave()
      trail.leave()
    }
    this.#report()
    return {
      ...this.#progress,
      leftOut: [...this.#leftOut.finish(), ...this.#lost.finish()],
    }
  }

  [Symbol.dispose](): void {
    this.#cursor?.[Symbol.dispose]()
    this.#targets?.[Symbol.dispose]()
    for (const lower of this.#lowers) lower[Symbol.dispose]()
  }

  #openFolder(number: number): {
    readonly number: number
    readonly folders: ReturnType<BroughtEntries['folders']>
  } {
    return { number, folders: this.#brought.folders(number) }
  }

  // The cursor stands in it.
  #finishFolder(number: number, path: () => Buffer): void {
    const { facts, isOpaque, isNew } = this.#brought.findPlan(number) ?? {}
    const { fd } = this.#cursor
    try {
      if (facts !== undefined) {
        const { header, time } = facts
        const entry = { kind: 'directory', header, time, path } as const
        if (isNew === true) this.#metadata.finish(fd, entry)
        else this.#metadata.finishExisting(fd, entry)
      }
      if (isOpaque !== true || this.#overlay === undefined) return
      const { key, value } = opaqueAttribute(this.#overlay)
      setXattr(fd, key, value)
    } catch (error) {
      throw writingError(error, path)
    }
  }

  async #addEntry(member: TarMember, { folder, place }: LayerMember): Promise<void> {
    const { entry } = member
    const name = splitArchivePath(entry.path, place, 'path').at(-1)
    this.#checkMarks(entry, place)
    if (name === undefined) {
      if (entry.kind !== 'directory') {
        const found = { found: `a ${entry.kind}` }
        throw invalidArchive(place, 'the root of a tree is a directory', found)
      }
      this.#brought.plan(rootEntryNumber, factsOf(entry), { isNew: false })
      return
    }
    if (entry.kind === 'hard-link') this.#findTarget(entry, place)
    const parent = this.#go(folder, place)
    if (entry.kind === 'directory') this.#addFolder(parent, name, entry)
    else if (entry.kind === 'hard-link')
      this.#link(parent, [...folder, name], entry, place)
    else {
      this.#brought.add(parent, name, entry.kind)
      this.#clear(name)
      await this.#make(name, member, entry.kind)
    }
  }

  async #make(
    name: Buffer,
    member: TarMember,
    kind: Exclude<TarEntry['kind'], 'directory' | 'hard-link'>,
  ): Promise<void> {
    const { entry } = member
    const path = this.#cursor.path(name)
    const metadata = metadataOf(entry, kind)
    if (kind === 'regular') await this.#write(path, member, metadata)
    else if (kind === 'symlink') {
      this.#maker.makeOther(path, { kind, target: entry.target }, metadata)
    } else this.#maker.makeOther(path, { kind }, metadata)
  }

  #link(
    parent: number,
    names: readonly Buffer[],
    entry: TarEntry,
    place: ArchivePlace,
  ): void {
    const name = names.at(-1)
    const target = splitArchivePath(entry.target, place, 'link target')
    // A link to itself changes nothing.
    if (name === undefined || samePath(target, names)) return
    this.#brought.add(parent, name, 'regular')
    this.#clear(name)
    // What was in the way may have held the target.
    linkSync(this.#findTarget(entry, place), this.#cursor.path(name))
  }

  #addFolder(parent: number, name: Buffer, entry: TarEntry): void {
    const isNew = this.#cursor.look(name)?.isDirectory() !== true
    if (isNew) {
      this.#clear(name)
      mkdirSync(this.#cursor.path(name), { mode: 0o700 })
    }
    const number = this.#brought.add(parent, name, 'directory')
    this.#brought.plan(number, factsOf(entry), { isNew })
  }

  async #write(
    path: Buffer,
    { entry, content }: TarMember,
    metadata: EntryMetadata,
  ): Promise<void> {
    using file = this.#maker.openFile(path, metadata)
    for await (const chunk of content.chunks()) {
      this.#options.signal?.throwIfAborted()
      file.write(chunk)
    }
    file.finish()
    this.#progress.files++
    this.#progress.bytes += entry.size
  }

  // What is in the way goes, with all that is in it: an inode that has other names, too,
  // is never written to.
  #clear(name: Buffer): void {
    const found = this.#cursor.look(name)
    if (found === undefined) return
    // The other cursor may stand in what goes.
    if (found.isDirectory()) this.#targets.go([])
    removeTree(this.#cursor.path(name))
  }

  // A path for system calls on the file that a hard link names.
  #findTarget(entry: TarEntry, place: ArchivePlace): Buffer {
    const names = splitArchivePath(entry.target, place, 'link target')
    const name = names.at(-1)
    const found = { found: showArchivePath(entry.target) }
    if (name === undefined)
      throw invalidArchive(place, 'a hard link to a directory', found)
    const obstacle = this.#targets.go(names.slice(0, -1))
    if (obstacle?.found === 'no directory')
      throw throughNoFolder(names, obstacle.depth, place)
    const stat = obstacle === undefined ? this.#targets.look(name) : undefined
    if (stat === undefined) {
      throw invalidArchive(place, 'a hard link to an entry that is not there', found)
    }
    if (stat.isDirectory())
      throw invalidArchive(place, 'a hard link to a directory', found)
    return this.#targets.path(name)
  }

  // Goes to a folder, and makes what is missing of it; tells its number.
  #go(names: readonly Buffer[], place: ArchivePlace): number {
    let firstMade: number | undefined
    const obstacle = this.#cursor.go(names, depth => {
      firstMade ??= depth
    })
    if (obstacle !== undefined) throw throughNoFolder(names, obstacle.depth, place)
    let number = rootEntryNumber
    for (const [index, name] of names.entries()) {
      number = this.#brought.add(number, name, 'directory')
      if (firstMade === undefined || index + 1 < firstMade) continue
      this.#brought.plan(number, this.#factsBelow(names, index + 1), { isNew: true })
    }
    return number
  }

  #factsBelow(names: readonly Buffer[], depth: number): FolderFacts {
    if (this.#overlay === undefined || this.#lowers.length === 0) return impliedFacts
    const path = names.slice(0, depth)
    return findLowerFacts(this.#lowers, path, this.#overlay) ?? impliedFacts
  }

  // Goes to a folder in which a mark takes something away; false where it is absent.
  #goIfThere(names: readonly Buffer[], place: ArchivePlace): boolean {
    const obstacle = this.#cursor.go(names)
    if (obstacle?.found === 'no directory') {
      throw throughNoFolder(names, obstacle.depth, place)
    }
    return obstacle === undefined
  }

  #hide({ folder, place }: LayerMember, name: Buffer): void {
    const names = [...folder, name]
    if (this.#overlay === undefined) {
      if (this.#goIfThere(folder, place)) this.#remove(names)
      return
    }
    this.#go(folder, place)
    const brought = this.#brought.find(names)
    if (brought === undefined) {
      this.#clear(name)
      makeDevice(this.#cursor.path(name), 'char', 0)
      return
    }
    // What the layer brings in its stead must not let anything shine through.
    const isFolder = this.#cursor.look(name)?.isDirectory() === true
    if (isFolder) this.#brought.planOpaque(brought)
  }

  #hideAll({ folder, place }: LayerMember): void {
    if (this.#overlay !== undefined) this.#brought.planOpaque(this.#go(folder, place))
    else if (this.#goIfThere(folder, place)) this.#prune(folder)
  }

  // Removes what was there before, from the folder that the cursor stands in.
  #remove(names: readonly Buffer[]): void {
    const name = names.at(-1)
    if (name === undefined) return
    if (this.#brought.find(names) === undefined) this.#clear(name)
    else if (this.#cursor.look(name)?.isDirectory() === true) this.#prune(names)
  }

  #prune(folder: readonly Buffer[]): void {
    const waiting: (readonly Buffer[])[] = [folder]
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (this.#cursor.go(next) !== undefined) continue
      for (const name of readdirSync(this.#cursor.path(dot), { encoding: 'buffer' })) {
        const names = [...next, name]
        if (this.#brought.find(names) === undefined) this.#clear(name)
        else if (this.#cursor.look(name)?.isDirectory() === true) waiting.push(names)
      }
    }
  }

  // To an overlay, such an entry would say something of other layers.
  #checkMarks(entry: TarEntry, place: ArchivePlace): void {
    if (this.#overlay === undefined) return
    if (entry.kind === 'char-device' && entry.rdev === 0) {
      throw invalidArchive(place, 'a device 0:0, which an overlay takes for a deletion')
    }
    const xattr = entry.xattrs.find(({ key }) => isOverlayAttribute(key))
    if (xattr !== undefined) {
      throw invalidArchive(place, 'an attribute that an overlay takes for its own', {
        found: showArchivePath(xattr.key),
      })
    }
  }

  #report(): void {
    this.#options.onProgress?.({ ...this.#progress })
  }
}

const dot = Buffer.from('.')
const slash = Buffer.from('/')

function samePath(one: readonly Buffer[], other: readonly Buffer[]): boolean {
  if (one.length !== other.length) return false
  return one.every((name, at) => name.equals(other[at] ?? dot))
}

function factsOf(entry: TarEntry): FolderFacts {
  const { permissions, rdev, uid, gid, xattrs, time } = entry
  const mode = modeOf('directory', permissions)
  return { header: { mode, rdev, uid, gid, xattrs }, time }
}

function metadataOf(
  { permissions, rdev, uid, gid, xattrs, time, path }: TarEntry,
  kind: Exclude<TarEntry['kind'], 'hard-link'>,
): EntryMetadata {
  const mode = modeOf(kind, permissions)
  return { kind, header: { mode, rdev, uid, gid, xattrs }, time, path: () => path }
}

function throughNoFolder(
  names: readonly Buffer[],
  depth: number,
  place: ArchivePlace,
): Error {
  const path = Buffer.concat(
    names.slice(0, depth).flatMap((name, at) => (at === 0 ? [name] : [slash, name])),
  )
  return invalidArchive(place, 'a path leads through something that is no directory', {
    expected: `a directory at ${showArchivePath(path)}`,
    found: 'a link or another entry',
  })
}
