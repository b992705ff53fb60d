import { linkSync, renameSync, unlinkSync } from 'node:fs'
import type { HardLinkGroup } from '../../object/hard-links.js'
import { isErrno } from '../../system/errno.js'
import type { WorkFolder } from './work-folder.js'

type Group = { left: number; stashed: Buffer | undefined }

/**
 * Makes the names of one file links of each other without ever resolving a path in the
 * tree: a link of each file that has names to come is kept in the work folder.
 */
export class LinkStash {
  readonly #work: WorkFolder
  readonly #groups = new Map<number, Group>()

  /** @param range - the entries that are walked; what a group names outside is ignored */
  constructor(
    work: WorkFolder,
    groups: readonly HardLinkGroup[],
    range: { readonly start: number; readonly end: number },
  ) {
    this.#work = work
    for (const members of groups) {
      const inside = members.filter(at => at >= range.start && at < range.end)
      if (inside.length < 2) continue
      const group = { left: inside.length, stashed: undefined }
      for (const ordinal of inside) this.#groups.set(ordinal, group)
    }
  }

  /** What stands for the file of an entry; undefined for one with a single name. */
  groupOf(ordinal: number): object | undefined {
    return this.#groups.get(ordinal)
  }

  /** Whether the file of an entry was made already. */
  has(ordinal: number): boolean {
    return this.#groups.get(ordinal)?.stashed !== undefined
  }

  /**
   * Gives the file of an entry one more name.
   *
   * False when the file takes no more names, or none in this place: then the entry has to
   * be made anew, and the names to come are given to that.
   */
  link(ordinal: number, path: Buffer): boolean {
    const group = this.#groups.get(ordinal)
    if (group?.stashed === undefined) throw new Error(`no file for entry ${ordinal} yet`)
    try {
      // The last name takes the stashed link itself: some files have the most names there
      // can be.
      if (group.left === 1) renameSync(group.stashed, path)
      else linkSync(group.stashed, path)
    } catch (error) {
      if (!isErrno(error, 'EMLINK', 'EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP'))
        throw error
      unlinkSync(group.stashed)
      group.stashed = undefined
      return false
    }
    group.left--
    return true
  }

  /** Takes note of an entry that was made; false when its file can have no other name. */
  keep(ordinal: number, path: Buffer): boolean {
    const group = this.#groups.get(ordinal)
    if (group === undefined) return true
    group.left--
    if (group.left === 0) return true
    const stashed = this.#work.newPath()
    try {
      linkSync(path, stashed)
    } catch (error) {
      if (!isErrno(error, 'EMLINK', 'EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP'))
        throw error
      return false
    }
    group.stashed = stashed
    return true
  }

  /** Takes note of an entry that was left out. */
  skip(ordinal: number): void {
    const group = this.#groups.get(ordinal)
    if (group !== undefined) group.left--
  }
}
