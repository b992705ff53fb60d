import type { BigIntStats } from 'node:fs'
import type { HardLinkGroup } from '../../object/hard-links.js'
import type { PendingContent } from './pending-directory.js'
import { describeChange } from './stable-file.js'

type KnownFile = {
  readonly stat: BigIntStats
  readonly content: PendingContent
  readonly ordinals: number[]
}

/**
 * Remembers files with several names, so that each is read once.
 *
 * It forgets a file when all its names were met: what stays are the ordinals of groups,
 * and files that have further names outside the tree.
 */
export class HardLinkTable {
  readonly #files = new Map<string, KnownFile>()
  readonly #groups: HardLinkGroup[] = []

  /** What an earlier name of this inode was stored as, and what changed since then. */
  find(
    stat: BigIntStats,
  ): { content: PendingContent; change: string | undefined } | undefined {
    if (stat.nlink < 2n) return undefined
    const known = this.#files.get(keyOf(stat))
    return known && { content: known.content, change: describeChange(known.stat, stat) }
  }

  /** Notes one name; `ordinal` is its place in walk order. */
  add(stat: BigIntStats, ordinal: number, content: PendingContent): void {
    if (stat.nlink < 2n) return
    const key = keyOf(stat)
    const known = this.#files.get(key) ?? { stat, content, ordinals: [] }
    known.ordinals.push(ordinal)
    if (known.ordinals.length === 1) this.#files.set(key, known)
    if (known.ordinals.length === 2) this.#groups.push(known.ordinals)
    if (BigInt(known.ordinals.length) >= known.stat.nlink) this.#files.delete(key)
  }

  /** Groups of at least two names, in ascending order of their first; undefined for none. */
  findGroups(): readonly HardLinkGroup[] | undefined {
    if (this.#groups.length === 0) return undefined
    // Names that were looked at a second time came late.
    return this.#groups
      .map(group => group.toSorted((one, other) => one - other))
      .toSorted(([one = 0], [other = 0]) => one - other)
  }
}

function keyOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`
}
