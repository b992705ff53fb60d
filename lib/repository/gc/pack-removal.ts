import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { StorageFullError } from '../../errors.js'
import { type Generation, OrdinalSet } from '../../store/pack/condemned-list.js'
import type { PackCalls } from '../../store/pack/pack-calls.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import type { PackFolder } from '../../store/pack/pack-folder.js'
import {
  type PackSource,
  removePacks,
  rewritePacks,
} from '../../store/pack/pack-maintenance.js'
import type { PackStore } from '../../store/pack/pack-store.js'
import type { CondemnedFile } from './condemned-file.js'
import type { GcLedger } from './gc-report.js'
import { tallyOf } from './pack-tally.js'
import type { Reserve } from './reserve.js'

// A pack is rewritten when so much of it is dead; more eagerly when nothing may stay.
const mostlyDead = 0.5
const partlyDead = 0.1

// Live bytes that are copied before the packs they come from are removed.
const rewriteBytes = 256 * 1024 * 1024

/** What removing packs is done with. */
export type RemovalParts = {
  readonly store: PackStore
  readonly condemned: CondemnedFile
  readonly ledger: GcLedger
  readonly reserve: Reserve
  readonly calls: PackCalls
  /** An existing folder on the filesystem of the packs. */
  readonly temp: string
  readonly signal: AbortSignal | undefined
  /** Runs an action under the repository's exclusive lock. */
  readonly locked: (action: () => Promise<void>) => Promise<void>
}

/** Gives the room of dead objects back: unlinks packs, and copies what is alive out of others. */
export class PackRemoval {
  readonly #parts: RemovalParts

  constructor(parts: RemovalParts) {
    this.#parts = parts
  }

  /** Removes what was put away so many milliseconds before `now`, or earlier. */
  async purge({ grace, now }: { grace: number; now: number }): Promise<void> {
    const isDue = ({ kind, time }: Generation): boolean =>
      kind === 'dead' || (kind === 'trash' && time + grace <= now)
    const { generations } = this.#folder.condemned
    if (!generations.some(isDue)) return
    if (generations.some(one => one.kind === 'trash' && isDue(one))) {
      // From here on nothing of it can be taken back.
      await this.#condemned.write(
        generations.map(one => (isDue(one) ? { ...one, kind: 'dead' as const } : one)),
      )
    }
    await this.#removeDeadPacks()
    await this.#rewriteDeadPacks(grace === 0 ? partlyDead : mostlyDead)
    this.#folder.refresh()
    await this.#condemned.forgetGonePacks()
  }

  async #removeDeadPacks(): Promise<void> {
    const names = this.#removable().flatMap(({ pack, dead }) =>
      dead.count === pack.index.count ? [pack.name] : [],
    )
    await this.#remove(names)
  }

  async #rewriteDeadPacks(threshold: number): Promise<void> {
    this.#folder.refresh()
    let group: PackSource[] = []
    let bytes = 0
    const candidates = this.#removable().flatMap(({ pack, dead }) => {
      const { bytes: deadBytes } = tallyOf([pack], new Map([[pack.name, dead]]))
      const live = pack.bytes - deadBytes
      return deadBytes >= threshold * pack.bytes ? [{ pack, dead, live }] : []
    })
    // Those that leave least to copy come first: they need least room to gain some.
    for (const { pack, dead, live } of candidates.toSorted(
      (one, other) => one.live - other.live,
    )) {
      if (bytes > 0 && bytes + live > rewriteBytes) {
        if (!(await this.#rewrite(group))) return
        group = []
        bytes = 0
      }
      group.push({ pack, isLive: ordinal => !dead.has(ordinal) })
      bytes += live
    }
    if (group.length > 0) await this.#rewrite(group)
  }

  /** False when there was no room. */
  async #rewrite(sources: readonly PackSource[]): Promise<boolean> {
    const packs = this.#folder.path
    try {
      const { done, unreadable, created } = await this.#parts.reserve.orFree(async () =>
        rewritePacks(sources, {
          calls: this.#parts.calls,
          zstd: async () => this.#parts.store.codec(),
          temp: this.#parts.temp,
          packs,
          signal: this.#parts.signal,
        }),
      )
      for (const { source, error } of unreadable) {
        this.#ledger.problem(source.pack.path, error)
      }
      for (const name of created) this.#ledger.freedBytes -= diskBytes(join(packs, name))
      await this.#remove(done.map(({ pack }) => pack.name))
      this.#ledger.rewrittenPacks += done.length
      return true
    } catch (error) {
      if (!(error instanceof StorageFullError)) throw error
      this.#ledger.problem(packs, error)
      return false
    }
  }

  async #remove(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    const packs = this.#folder.path
    const bytes = names.map(name => diskBytes(join(packs, name)))
    await this.#parts.locked(async () =>
      removePacks(names, { calls: this.#parts.calls, packs }),
    )
    this.#ledger.freedBytes += bytes.reduce((sum, one) => sum + one, 0)
    this.#ledger.removedPacks += names.length
  }

  /** Packs with dead objects of which nothing may be taken back any more. */
  #removable(): { pack: PackFile; dead: OrdinalSet }[] {
    const undecided = this.#condemned.generations('condemned', 'trash')
    return this.#folder.packs.flatMap(pack => {
      if (undecided.some(({ packs }) => (packs.get(pack.name)?.count ?? 0) > 0)) return []
      const dead = new OrdinalSet(pack.index.count)
      for (const { packs } of this.#condemned.generations('dead')) {
        const set = packs.get(pack.name)
        if (set !== undefined) dead.addAll(set)
      }
      return dead.count > 0 ? [{ pack, dead }] : []
    })
  }

  get #folder(): PackFolder {
    return this.#parts.store.folder
  }

  get #condemned(): CondemnedFile {
    return this.#parts.condemned
  }

  get #ledger(): GcLedger {
    return this.#parts.ledger
  }
}

function diskBytes(path: string): number {
  return (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512
}
