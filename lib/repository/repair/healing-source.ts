import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import type { ObjectReader } from '../../store/object-store.js'
import type { RepositorySession } from '../repository-session.js'

/** An object that is missing. */
export type WantedObject = {
  readonly digest: Digest
  /** What a reference says of it; undefined where none does. */
  readonly descriptor: Descriptor | undefined
}

/** Where a source puts what it has. */
export type HealingPlace = {
  /** Begins to add objects, which are seen when they are published; the caller ends it. */
  begin(): Promise<RepositorySession>
  /** What is there already. */
  readonly published: ObjectReader
  readonly signal: AbortSignal | undefined
  /** Takes what a source could not do, as data. */
  onProblem(where: string, message: string): void
}

/** Somewhere that missing objects may be had from. */
export interface HealingSource {
  /** For reports. */
  readonly name: string
  /**
   * Stores and publishes those of the wanted objects that it has, each with everything
   * below it that is missing, children first. Throws a CairnError when it cannot go on:
   * what was published until then stays.
   */
  heal(wanted: readonly WantedObject[], place: HealingPlace): Promise<void>
}
