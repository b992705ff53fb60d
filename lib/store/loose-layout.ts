import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, findDigest } from '../object/digest.js'
import { isErrno } from '../system/errno.js'

/** Where each object lies below the objects folder: AA/BB/CC/REST (format section 3). */
export class LooseLayout {
  readonly objects: string

  constructor(objects: string) {
    this.objects = objects
  }

  path(digest: Digest): string {
    return `${this.folder(digest)}/${digest.slice(6)}`
  }

  /** @param spelled - a digest, or at least its first six digits */
  folder(spelled: string): string {
    const levels = [spelled.slice(0, 2), spelled.slice(2, 4), spelled.slice(4, 6)]
    return `${this.objects}/${levels.join('/')}`
  }

  /** The folder of an object, then those above it, up to the objects folder. */
  folders(spelled: string): string[] {
    const { objects } = this
    const [first, second] = [spelled.slice(0, 2), spelled.slice(2, 4)]
    return [
      this.folder(spelled),
      `${objects}/${first}/${second}`,
      `${objects}/${first}`,
      objects,
    ]
  }

  /** Every digest that a path below the objects folder spells, ascending. */
  *list(prefix: string): Generator<Digest> {
    yield* this.#listBelow('', prefix)
  }

  *#listBelow(spelled: string, prefix: string): Generator<Digest> {
    const levels = [spelled.slice(0, 2), spelled.slice(2, 4), spelled.slice(4, 6)]
    const isLast = spelled.length === 6
    for (const name of namesIn(join(this.objects, ...levels))) {
      const text = spelled + name
      if (!text.startsWith(prefix.slice(0, text.length))) continue
      if (!isLast) {
        if (/^[0-9a-f]{2}$/.test(name)) yield* this.#listBelow(text, prefix)
      } else if (text.startsWith(prefix)) {
        const digest = findDigest(text)
        if (digest !== undefined) yield digest
      }
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted()
  } catch (error) {
    // A stray file, or a folder that was removed since its name was read.
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
