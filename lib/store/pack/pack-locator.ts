import type { Digest } from '../../object/digest.js'
import type { PayloadLocator, PayloadPlace } from '../object-store.js'
import type { Purpose } from './condemned-list.js'
import type { PackFile } from './pack-file.js'
import type { PackFolder } from './pack-folder.js'

/** Places raw payloads in packs, and keeps those packs open. */
export class PackLocator implements PayloadLocator {
  readonly #folder: PackFolder
  readonly #purpose: Purpose
  readonly #uses = new Map<PackFile, Disposable>()

  constructor(folder: PackFolder, purpose: Purpose) {
    this.#folder = folder
    this.#purpose = purpose
  }

  find(digest: Digest): PayloadPlace | undefined {
    const found = this.#folder.findFresh(digest, this.#purpose)
    if (found?.place.codec !== 'raw') return undefined
    const { pack, place } = found
    if (!this.#uses.has(pack)) this.#uses.set(pack, pack.use())
    return { fd: pack.fd, offset: place.offset, type: place.type, size: place.size }
  }

  [Symbol.dispose](): void {
    for (const use of this.#uses.values()) use[Symbol.dispose]()
    this.#uses.clear()
  }
}
