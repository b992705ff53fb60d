import { type BigIntStats, lstatSync } from 'node:fs'
import { DirectoryDescent } from '../../system/directory-descent.js'
import { isErrno } from '../../system/errno.js'
import { findXattr } from '../../system/xattr.js'
import { isWhiteout, type OverlayNamespace, opaqueAttribute } from './overlay-marks.js'

/** An entry of the topmost lower folder that has it. */
export type LowerEntry = { readonly stat: BigIntStats; readonly path: Buffer }

/**
 * The lower folders of an overlay, the topmost first, all standing at the same place.
 *
 * With `marks`, a whiteout or an opaque folder in one hides what those below it have;
 * without, there is one, and it is what it is.
 */
export class LowerFolders implements Disposable {
  readonly #descents: DirectoryDescent[] = []
  readonly #marks: OverlayNamespace | undefined
  // Which of them have the present folder, level by level.
  readonly #levels: (readonly number[])[]

  constructor(
    folders: readonly (string | Buffer)[],
    marks: OverlayNamespace | undefined,
  ) {
    this.#marks = marks
    try {
      for (const folder of folders) this.#descents.push(new DirectoryDescent(folder))
    } catch (error) {
      this[Symbol.dispose]()
      throw error
    }
    const present: number[] = []
    for (const [index, descent] of this.#descents.entries()) {
      present.push(index)
      if (this.#isOpaque(descent.fd)) break
    }
    this.#levels = [present]
  }

  /** The folder that stands topmost at this place, for system calls on names in it. */
  get folders(): readonly DirectoryDescent[] {
    return (this.#levels.at(-1) ?? []).flatMap(index => this.#descents[index] ?? [])
  }

  /** The entry of a name; undefined where it is absent or hidden. */
  find(name: Buffer): LowerEntry | undefined {
    for (const descent of this.folders) {
      const path = descent.path(name)
      const stat = lookIfThere(path)
      if (stat === undefined) continue
      return this.#marks !== undefined && isWhiteout(stat) ? undefined : { stat, path }
    }
    return undefined
  }

  /** Goes into a folder, in those that have it; nowhere for one that hides them all. */
  enter(name: Buffer, { isOpaque }: { readonly isOpaque: boolean }): void {
    const entered: number[] = []
    for (const index of isOpaque ? [] : (this.#levels.at(-1) ?? [])) {
      const descent = this.#descents[index]
      if (descent === undefined) continue
      const stat = lookIfThere(descent.path(name))
      if (stat === undefined) continue
      if (!stat.isDirectory()) break
      descent.enter(name)
      entered.push(index)
      if (this.#isOpaque(descent.fd)) break
    }
    this.#levels.push(entered)
  }

  leave(): void {
    for (const index of this.#levels.pop() ?? []) this.#descents[index]?.leave()
  }

  [Symbol.dispose](): void {
    for (const descent of this.#descents) descent[Symbol.dispose]()
  }

  #isOpaque(fd: number): boolean {
    if (this.#marks === undefined) return false
    const { key, value } = opaqueAttribute(this.#marks)
    return findXattr(fd, key)?.equals(value) === true
  }
}

function lookIfThere(path: Buffer): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true })
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
