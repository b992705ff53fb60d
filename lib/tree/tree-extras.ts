import { createHash } from 'node:crypto'
import type { Application } from '../object/application.js'
import type { DirectoryEntry } from '../object/directory.js'
import type { HardLinkGroup } from '../object/hard-links.js'
import {
  type ModificationTime,
  ModificationTimesDecoder,
} from '../object/modification-times.js'
import {
  checkTimes,
  countEntries,
  type EntriesBelow,
  findEntries,
} from './entry-ordinals.js'
import { rootEntry } from './tree-path.js'
import type { TreeReader } from './tree-reader.js'
import { surveyTree } from './tree-survey.js'

/** What an application's extension says of its entries, by ordinal. */
export class TreeExtras {
  readonly #below: EntriesBelow
  readonly #seconds: BigInt64Array | undefined
  readonly #nanoseconds: Uint32Array | undefined
  readonly #links: ReadonlyMap<number, string>
  readonly #linked: readonly number[]
  /** Whether the application tells the names of files with several. */
  readonly hasHardLinks: boolean

  private constructor(
    below: EntriesBelow,
    times: { seconds: BigInt64Array; nanoseconds: Uint32Array } | undefined,
    links: ReadonlyMap<number, string> | undefined,
  ) {
    this.#below = below
    this.#seconds = times?.seconds
    this.#nanoseconds = times?.nanoseconds
    this.#links = links ?? new Map()
    this.#linked = [...this.#links.keys()].toSorted((one, other) => one - other)
    this.hasHardLinks = links !== undefined
  }

  /**
   * Reads them; undefined for an application that says nothing of its entries.
   *
   * @param counted - entries below each of its directories, where they are counted already
   */
  static async find(
    tree: TreeReader,
    application: Application,
    counted?: EntriesBelow,
  ): Promise<TreeExtras | undefined> {
    const { hardLinks, modificationTimes } = application.extension ?? {}
    if (hardLinks === undefined && modificationTimes === undefined) return undefined
    const root = rootEntry(application)
    const entriesBelow =
      counted ??
      (await surveyTree(tree, root.directory, { check: () => {} })).entriesBelow
    const entries = countEntries(root, entriesBelow)
    const times =
      modificationTimes === undefined
        ? undefined
        : decodeTimes(modificationTimes, entries)
    const links =
      hardLinks === undefined
        ? undefined
        : await nameGroups(tree, root, hardLinks, entriesBelow)
    return new TreeExtras(entriesBelow, times, links)
  }

  get hasTimes(): boolean {
    return this.#seconds !== undefined
  }

  /** How many ordinals an entry takes with all below it. */
  countEntries(entry: DirectoryEntry): number {
    return countEntries(entry, this.#below)
  }

  /** The modification time of an entry; undefined when none are recorded. */
  findTime(ordinal: number): ModificationTime | undefined {
    const seconds = this.#seconds?.[ordinal]
    const nanoseconds = this.#nanoseconds?.[ordinal]
    if (seconds === undefined || nanoseconds === undefined) return undefined
    return { seconds, nanoseconds }
  }

  /** What is equal for exactly the same set of paths; undefined for a single name. */
  findLinkSet(ordinal: number): string | undefined {
    return this.#links.get(ordinal)
  }

  /** Whether a range of entries has the same times here as one of that length there. */
  sameTimes(
    start: number,
    other: TreeExtras,
    otherStart: number,
    count: number,
  ): boolean {
    for (let at = 0; at < count; at++) {
      if (
        this.#seconds?.[start + at] !== other.#seconds?.[otherStart + at] ||
        this.#nanoseconds?.[start + at] !== other.#nanoseconds?.[otherStart + at]
      ) {
        return false
      }
    }
    return true
  }

  /** Whether any entry of a range has further names. */
  hasLinksIn(start: number, count: number): boolean {
    let low = 0
    let high = this.#linked.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#linked[middle] ?? 0) < start) low = middle + 1
      else high = middle
    }
    return (this.#linked[low] ?? Number.POSITIVE_INFINITY) < start + count
  }
}

function decodeTimes(
  encoded: Buffer,
  entries: number,
): { seconds: BigInt64Array; nanoseconds: Uint32Array } {
  checkTimes(encoded, entries)
  const decoder = new ModificationTimesDecoder(encoded)
  const seconds = new BigInt64Array(entries)
  const nanoseconds = new Uint32Array(entries)
  for (let at = 0; at < entries; at++) {
    const time = decoder.next()
    seconds[at] = time.seconds
    nanoseconds[at] = time.nanoseconds
  }
  return { seconds, nanoseconds }
}

async function nameGroups(
  tree: TreeReader,
  root: DirectoryEntry & { readonly kind: 'directory' },
  groups: readonly HardLinkGroup[],
  below: EntriesBelow,
): Promise<Map<number, string>> {
  const wanted = groups.flatMap(group => [...group]).toSorted((one, other) => one - other)
  const found = await findEntries(tree, root, wanted, below)
  const names = new Map<number, string>()
  for (const group of groups) {
    const paths = group.map(ordinal => found.get(ordinal)?.path.toString('latin1') ?? '')
    const set = createHash('sha256').update(paths.toSorted().join('\0')).digest('hex')
    for (const ordinal of group) names.set(ordinal, set)
  }
  return names
}
