import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type CairnError, InvalidObjectError } from '../../errors.js'
import { type Digest, digestBytes } from '../../object/digest.js'
import { isErrno } from '../../system/errno.js'
import {
  type CondemnedList,
  condemnedName,
  noneCondemned,
  type Purpose,
  readCondemnedList,
} from './condemned-list.js'
import { identityOf, MultiIndex, multiName } from './multi-index.js'
import { PackFile } from './pack-file.js'
import type { PackPlace } from './pack-format.js'

/** The end of a sealed pack's file name. */
export const packSuffix = '.pack'

// A folder's change time moves in steps of the kernel's clock, some milliseconds: a list
// read within that of a change can be older than its time says.
const settledAfterMs = 100

// A list that changed while it was read is read again, but not for ever.
const maxRounds = 8

/** An object and the pack that holds it. */
export type FoundObject = { readonly pack: PackFile; readonly place: PackPlace }

type OpenFiles = {
  readonly packs: Map<string, PackFile>
  multi: MultiIndex | undefined
}

// Who holds a repository for a moment, as a server does, may let it go unclosed.
const forgotten = new FinalizationRegistry(closeFiles)

function closeFiles(files: OpenFiles): void {
  for (const pack of files.packs.values()) pack.retire()
  files.packs.clear()
  files.multi?.[Symbol.dispose]()
  files.multi = undefined
}

/**
 * The sealed packs of a repository, as they come and go.
 *
 * Other processes publish and remove packs at any time: whoever is about to say that an
 * object is absent calls refresh() first. Packs that the merged index covers are opened
 * when something is read from them, the others at once.
 */
export class PackFolder implements Disposable {
  readonly path: string
  #listed: ReadonlySet<string> = new Set()
  readonly #files: OpenFiles = { packs: new Map(), multi: undefined }
  readonly #broken = new Map<string, CairnError>()
  #covered: ReadonlySet<string> = new Set()
  #uncovered: PackFile[] = []
  #condemned: CondemnedList = noneCondemned
  #condemnedIdentity: string | undefined
  #listedAt = 0
  #changedAt = -1
  #changes = 0
  #isClosed = false

  constructor(path: string) {
    this.path = path
    forgotten.register(this, this.#files, this)
  }

  /** Every pack that can be read, opened. */
  get packs(): readonly PackFile[] {
    return [...this.#listed].flatMap(name => this.#pack(name) ?? [])
  }

  /** Opens a pack by its file name; undefined when it is not there, or none. */
  get(name: string): PackFile | undefined {
    return this.#listed.has(name) ? this.#pack(name) : undefined
  }

  /** The merged index, where there is one that can be read. */
  get multi(): MultiIndex | undefined {
    return this.#files.multi
  }

  /** File names of all packs. */
  get names(): readonly string[] {
    return [...this.#listed]
  }

  /** File names of the packs that the merged index does not cover. */
  get uncovered(): readonly string[] {
    return [...this.#listed].filter(name => !this.#covered.has(name))
  }

  /** How many packs the merged index covers, and how many of them are gone. */
  get cover(): { readonly packs: number; readonly gone: number } {
    const gone = [...this.#covered].filter(name => !this.#listed.has(name))
    return { packs: this.#covered.size, gone: gone.length }
  }

  /** Packs, and a merged index, that cannot be read as such, by path. */
  get broken(): ReadonlyMap<string, CairnError> {
    return this.#broken
  }

  /** Grows each time that packs were found to have come or gone. */
  get changes(): number {
    return this.#changes
  }

  /** What a garbage collector has condemned. */
  get condemned(): CondemnedList {
    return this.#condemned
  }

  /**
   * Finds an object among the packs known so far.
   *
   * What is condemned is absent to who wants to rely on it in something new (`store`);
   * what is in the trash is absent to readers, too; `collect` finds all that lies there.
   */
  find(digest: Digest, purpose: Purpose = 'read'): FoundObject | undefined {
    if (purpose === 'collect' && this.#condemned.generations.length > 0) {
      // A copy that is to stay comes first, then one that readers may still be using.
      const kept = this.find(digest, 'store') ?? this.find(digest, 'read')
      if (kept !== undefined) return kept
    }
    const binary = digestBytes(digest)
    for (let at = 0; at < this.#uncovered.length; at++) {
      const pack = this.#uncovered[at]
      const place = pack?.findBinary(digest, binary)
      if (pack === undefined || place === undefined) continue
      if (this.#hides(pack, binary, purpose)) continue
      // What is asked for next was mostly stored next to it.
      if (at > 0) this.#uncovered.unshift(...this.#uncovered.splice(at, 1))
      return { pack, place }
    }
    return (
      this.#files.multi &&
      this.#findCovered(this.#files.multi, { digest, binary, purpose })
    )
  }

  /** Finds an object, looking into the folder again before it says that there is none. */
  findFresh(digest: Digest, purpose: Purpose = 'read'): FoundObject | undefined {
    return (
      this.find(digest, purpose) ??
      (this.refresh() ? this.find(digest, purpose) : undefined)
    )
  }

  /** Finds objects in order, looking into the folder again at most once. */
  findAll(
    digests: readonly Digest[],
    purpose: Purpose = 'read',
  ): (FoundObject | undefined)[] {
    const found = digests.map(digest => this.find(digest, purpose))
    if (found.every(Boolean) || !this.refresh()) return found
    return digests.map((digest, index) => found[index] ?? this.find(digest, purpose))
  }

  /** The places of one pack's objects that readers see, in ascending order of digests. */
  *visiblePlaces(pack: PackFile, prefix = ''): Generator<PackPlace> {
    for (const place of pack.index.places(prefix)) {
      if (!this.#hides(pack, digestBytes(place.digest), 'read')) yield place
    }
  }

  /** Whether an object of a pack is absent to readers, though it lies there. */
  isHidden(pack: PackFile, digest: Digest): boolean {
    return this.#hides(pack, digestBytes(digest), 'read')
  }

  /** Opens new packs and drops removed ones; false when nothing has changed. */
  refresh(): boolean {
    if (this.#isClosed) throw new Error('the store is closed')
    const before = this.#changes
    for (let round = 0; round < maxRounds && this.#relist(); round++);
    return this.#changes !== before
  }

  /** Drops packs whose files lost bytes, so that what they held counts as absent. */
  dropCut(): void {
    for (const [name, pack] of this.#files.packs) {
      if (pack.isWhole) continue
      this.#drop(name, pack)
      this.#broken.set(
        pack.path,
        new InvalidObjectError(`invalid pack ${pack.path}: it lost bytes`, {
          path: pack.path,
        }),
      )
    }
    this.#sortOut()
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    forgotten.unregister(this)
    closeFiles(this.#files)
    this.#listed = new Set()
    this.#sortOut()
  }

  #findCovered(
    multi: MultiIndex,
    { digest, binary, purpose }: { digest: Digest; binary: Buffer; purpose: Purpose },
  ): FoundObject | undefined {
    for (const { pack: name, place } of multi.find(digest, binary)) {
      const pack = this.#listed.has(name) ? this.#pack(name) : undefined
      if (pack === undefined || this.#hides(pack, binary, purpose)) continue
      return { pack, place: pack.checkPlace(place) }
    }
    return undefined
  }

  #hides(pack: PackFile, digest: Buffer, purpose: Purpose): boolean {
    const { name } = pack
    if (!this.#condemned.touches(name, purpose)) return false
    const ordinal = pack.index.ordinal(digest)
    return ordinal !== undefined && this.#condemned.hides(name, ordinal, purpose)
  }

  // True when the list must be read once more: something moved while it was read, or a
  // pack went, whose objects may by now lie in one that came after the list was begun.
  #relist(): boolean {
    const changedAt = statSync(this.path).mtimeMs
    const isSettled = Math.abs(this.#listedAt - this.#changedAt) > settledAfterMs
    if (changedAt === this.#changedAt && isSettled) return false
    this.#listedAt = Date.now()
    this.#changedAt = changedAt
    const all = readdirSync(this.path)
    const names = new Set(all.filter(name => name.endsWith(packSuffix)))
    const hasLost = this.#dropGone(names)
    const isRebuilt = this.#dropReplaced()
    const hasNew = [...names].some(name => !this.#listed.has(name))
    this.#listed = names
    // What could not be read may have been replaced.
    this.#broken.clear()
    const hasNewMulti = this.#openMulti(all.includes(multiName))
    const hasNewList = this.#readCondemned(all.includes(condemnedName))
    const isMissing = this.#openUncovered()
    if (hasLost || hasNew || isRebuilt || hasNewMulti || hasNewList) this.#changes += 1
    return hasLost || isMissing || statSync(this.path).mtimeMs !== changedAt
  }

  #dropGone(names: ReadonlySet<string>): boolean {
    let hasLost = false
    for (const name of this.#listed) {
      if (names.has(name)) continue
      const pack = this.#files.packs.get(name)
      if (pack !== undefined) this.#drop(name, pack)
      hasLost = true
    }
    return hasLost
  }

  // A pack never changes, but its trailer may have been made anew.
  #dropReplaced(): boolean {
    let hasDropped = false
    for (const [name, pack] of this.#files.packs) {
      if (statSync(pack.path, { throwIfNoEntry: false })?.ino === pack.inode) continue
      this.#drop(name, pack)
      hasDropped = true
    }
    return hasDropped
  }

  #openMulti(isThere: boolean): boolean {
    const path = join(this.path, multiName)
    const stat = isThere ? statSync(path, { throwIfNoEntry: false }) : undefined
    if (stat && identityOf(stat) === this.#files.multi?.identity) return false
    const hadOne = this.#files.multi !== undefined
    this.#files.multi?.[Symbol.dispose]()
    this.#files.multi = undefined
    const opened = stat && this.#orBroken(path, () => MultiIndex.open(path))
    this.#files.multi = opened
    this.#covered = new Set(opened?.packs)
    return hadOne || opened !== undefined
  }

  // A list that cannot be read condemns nothing: its collector starts again without it.
  #readCondemned(isThere: boolean): boolean {
    const path = join(this.path, condemnedName)
    const stat = isThere ? statSync(path, { throwIfNoEntry: false }) : undefined
    const identity = stat && identityOf(stat)
    if (identity === this.#condemnedIdentity && !this.#broken.has(path)) return false
    this.#condemnedIdentity = identity
    this.#condemned =
      (stat && this.#orBroken(path, () => readCondemnedList(path))) ?? noneCondemned
    return true
  }

  // True when a pack went after it was listed.
  #openUncovered(): boolean {
    let isMissing = false
    for (const name of this.uncovered) {
      const isOpen = this.#pack(name) !== undefined
      if (!isOpen && !this.#broken.has(join(this.path, name))) isMissing = true
    }
    this.#sortOut()
    return isMissing
  }

  #sortOut(): void {
    this.#uncovered = [...this.#files.packs]
      .filter(([name]) => !this.#covered.has(name))
      .map(([, pack]) => pack)
      .toReversed()
  }

  #pack(name: string): PackFile | undefined {
    const open = this.#files.packs.get(name)
    if (open !== undefined) return open
    const path = join(this.path, name)
    if (this.#broken.has(path)) return undefined
    const opened = this.#orBroken(path, () => PackFile.open(path))
    if (opened !== undefined) this.#files.packs.set(name, opened)
    return opened
  }

  #drop(name: string, pack: PackFile): void {
    this.#files.packs.delete(name)
    pack.retire()
  }

  #orBroken<Opened>(path: string, open: () => Opened): Opened | undefined {
    try {
      return open()
    } catch (error) {
      // Removed since it was listed.
      if (isErrno(error, 'ENOENT')) return undefined
      if (!(error instanceof InvalidObjectError)) throw error
      this.#broken.set(path, error)
      return undefined
    }
  }
}
