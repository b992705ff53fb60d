import type { Digest } from '../../../object/digest.js'
import type { DirectoryEntry } from '../../../object/directory.js'
import type { ModificationTime } from '../../../object/modification-times.js'
import { getApplication } from '../../../store/typed-object.js'
import { countEntries, type EntriesBelow, ordinalOfPath } from '../../entry-ordinals.js'
import type { Placed } from '../../pair-by-name.js'
import { TreeExtras } from '../../tree-extras.js'
import { resolveTreePath, rootEntry } from '../../tree-path.js'
import type { TreeReader } from '../../tree-reader.js'
import { surveyTree } from '../../tree-survey.js'
import type { CheckoutPlan, TreeRoot } from '../checkout-plan.js'

/** How a version is read. */
export type VersionOptions = {
  /** One time for every entry. */
  readonly touch: ModificationTime | undefined
  readonly counted: EntriesBelow
}

/** One stored tree, as an update looks at it. */
export class TreeVersion {
  readonly tree: TreeReader
  readonly root: Placed
  readonly #extras: TreeExtras | undefined
  readonly #touch: ModificationTime | undefined
  readonly #below: EntriesBelow

  private constructor(
    tree: TreeReader,
    root: Placed,
    facts: {
      readonly extras: TreeExtras | undefined
      readonly touch: ModificationTime | undefined
      readonly below: EntriesBelow
    },
  ) {
    this.tree = tree
    this.root = root
    this.#extras = facts.extras
    this.#touch = facts.touch
    this.#below = facts.below
  }

  /**
   * Reads all of a tree but its files; throws as resolveTreePath and surveyTree do.
   *
   * @param counted - entries below directories that are not to be read again
   */
  static async read(
    tree: TreeReader,
    { application: digest, path }: TreeRoot,
    { touch, counted }: VersionOptions,
  ): Promise<TreeVersion> {
    const { objects: reader } = tree
    const application = await getApplication(reader, digest)
    const { entry, path: place } = await resolveTreePath(reader, digest, path)
    const whole = rootEntry(application)
    const survey = await surveyTree(tree, whole.directory, { check: () => {}, counted })
    const below = survey.entriesBelow
    const extras = await TreeExtras.find(tree, application, below)
    const ordinal = await ordinalOfPath(tree, whole, place, inner =>
      countEntries(inner, below),
    )
    return new TreeVersion(tree, { entry, ordinal }, { extras, touch, below })
  }

  /** The tree that a plan is of. */
  static async ofPlan(
    tree: TreeReader,
    { node, start, below }: CheckoutPlan,
    touch: ModificationTime | undefined,
  ): Promise<TreeVersion> {
    const application = await getApplication(tree.objects, node.application)
    const counted = node.path.length === 0 ? below : undefined
    const extras = await TreeExtras.find(tree, application, counted)
    const root = { entry: node.entry, ordinal: start }
    return new TreeVersion(tree, root, { extras, touch, below })
  }

  /** How many ordinals an entry takes with all below it. */
  count(entry: DirectoryEntry): number {
    return countEntries(entry, this.#below)
  }

  /** The time that an entry gets; undefined where any will do. */
  findTime(ordinal: number): ModificationTime | undefined {
    return this.#touch ?? this.#extras?.findTime(ordinal)
  }

  /** Tells the set of names that an entry's file has; undefined for a single one. */
  findLinkSet(ordinal: number): string | undefined {
    return this.#extras?.findLinkSet(ordinal)
  }

  hasLinksIn(start: number, count: number): boolean {
    return this.#extras?.hasLinksIn(start, count) === true
  }

  /** The entries of a folder with their ordinals, in byte order of names. */
  async children({ entry, ordinal }: Placed): Promise<readonly Placed[]> {
    if (entry.kind !== 'directory') return []
    const directory = await this.tree.directory(entry.directory)
    let next = ordinal + 1
    const placed = Array.from(directory, child => {
      const at = next
      next += this.count(child)
      return { entry: child, ordinal: at }
    })
    return placed.toSorted((one, other) =>
      Buffer.compare(one.entry.name, other.entry.name),
    )
  }

  /** Whether what another version left in place of an entry is what this one wants there. */
  hasSame(own: Placed, other: TreeVersion, others: Placed): boolean {
    const { entry, ordinal } = own
    if (entry.kind !== others.entry.kind) return false
    if (entry.header.digest !== others.entry.header.digest) return false
    if (contentOf(entry) !== contentOf(others.entry)) return false
    const count = this.count(entry)
    if (count === 1) {
      if (this.findLinkSet(ordinal) !== other.findLinkSet(others.ordinal)) return false
    } else if (
      this.hasLinksIn(ordinal, count) ||
      other.hasLinksIn(others.ordinal, count)
    ) {
      return false
    }
    for (let at = 0; at < count; at++) {
      const time = this.findTime(ordinal + at)
      if (time === undefined) continue
      const before = other.findTime(others.ordinal + at)
      const isSame =
        before?.seconds === time.seconds && before.nanoseconds === time.nanoseconds
      if (!isSame) return false
    }
    return true
  }
}

function contentOf(entry: DirectoryEntry): Digest | string | undefined {
  if (entry.kind === 'regular') return entry.file.digest
  if (entry.kind === 'directory') return entry.directory.digest
  return entry.kind === 'symlink' ? entry.target.toString('latin1') : undefined
}
