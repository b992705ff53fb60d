import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type CairnError, InvalidObjectError } from '../../errors.js'
import type { Digest } from '../../object/digest.js'
import { isErrno } from '../../system/errno.js'
import { PackFile } from './pack-file.js'
import type { PackPlace } from './pack-format.js'

/** The end of a sealed pack's file name. */
export const packSuffix = '.pack'

// A folder's change time moves in steps of the kernel's clock, some milliseconds: a list
// read within that of a change can be older than its time says.
const settledAfterMs = 100

/** An object and the pack that holds it. */
export type FoundObject = { readonly pack: PackFile; readonly place: PackPlace }

/**
 * The sealed packs of a repository, as they come and go.
 *
 * Other processes publish and remove packs at any time: whoever is about to say that an
 * object is absent calls refresh() first.
 */
export class PackFolder implements Disposable {
  readonly path: string
  readonly #packs = new Map<string, PackFile>()
  readonly #broken = new Map<string, CairnError>()
  #listedAt = 0
  #changedAt = -1

  constructor(path: string) {
    this.path = path
  }

  /** Open packs, those opened last first. */
  get packs(): readonly PackFile[] {
    return [...this.#packs.values()].toReversed()
  }

  /** Packs that cannot be read as such, by path. */
  get broken(): ReadonlyMap<string, CairnError> {
    return this.#broken
  }

  /** Finds an object among the packs known so far. */
  find(digest: Digest): FoundObject | undefined {
    for (const pack of this.#packs.values()) {
      const place = pack.find(digest)
      if (place !== undefined) return { pack, place }
    }
    return undefined
  }

  /** Finds an object, looking into the folder again before it says that there is none. */
  findFresh(digest: Digest): FoundObject | undefined {
    return this.find(digest) ?? (this.refresh() ? this.find(digest) : undefined)
  }

  /** Opens new packs and drops removed ones; false when nothing has changed. */
  refresh(): boolean {
    const changedAt = statSync(this.path).mtimeMs
    if (changedAt === this.#changedAt && this.#listedAt - changedAt > settledAfterMs)
      return false
    this.#listedAt = Date.now()
    this.#changedAt = changedAt
    const names = new Set(
      readdirSync(this.path).filter(name => name.endsWith(packSuffix)),
    )
    let hasChanged = false
    for (const [name, pack] of this.#packs) {
      if (names.has(name)) continue
      this.#packs.delete(name)
      pack.retire()
      hasChanged = true
    }
    for (const name of names) {
      if (!this.#packs.has(name) && this.#open(name)) hasChanged = true
    }
    return hasChanged
  }

  [Symbol.dispose](): void {
    for (const pack of this.#packs.values()) pack.retire()
    this.#packs.clear()
  }

  #open(name: string): boolean {
    const path = join(this.path, name)
    try {
      this.#packs.set(name, PackFile.open(path))
      this.#broken.delete(path)
      return true
    } catch (error) {
      // Removed since it was listed.
      if (isErrno(error, 'ENOENT')) return false
      if (!(error instanceof InvalidObjectError)) throw error
      this.#broken.set(path, error)
      return false
    }
  }
}
