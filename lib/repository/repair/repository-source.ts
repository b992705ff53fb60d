import { CairnError } from '../../errors.js'
import type { Digest } from '../../object/digest.js'
import { dependenciesOf } from '../../object/received-object.js'
import type { ObjectReader, StoreSession } from '../../store/object-store.js'
import { copyMissing } from '../migrate/copy-objects.js'
import type { HealingPlace, HealingSource, WantedObject } from './healing-source.js'

/** Another repository, or whatever else reads objects, as a source of missing ones. */
export class RepositorySource implements HealingSource {
  readonly name: string
  readonly #objects: ObjectReader

  constructor(name: string, objects: ObjectReader) {
    this.name = name
    this.#objects = objects
  }

  async heal(wanted: readonly WantedObject[], place: HealingPlace): Promise<void> {
    await using session = await place.begin()
    for (const { digest } of wanted) {
      place.signal?.throwIfAborted()
      try {
        await this.#copy(digest, session.objects)
      } catch (error) {
        // It has it not, or not whole, or damaged.
        if (!(error instanceof CairnError) || error.code === 'storage_full') throw error
        place.onProblem(this.name, error.message)
      }
    }
    await session.objects.publish([])
  }

  /** Copies an object and what is missing below it, children first. */
  async #copy(root: Digest, session: StoreSession): Promise<void> {
    const path: Digest[] = [root]
    for (let digest = path.at(-1); digest !== undefined; digest = path.at(-1)) {
      const missing = await this.#missingBelow(digest, session)
      if (missing.length > 0) {
        path.push(...missing)
        continue
      }
      await copyMissing(this.#objects, session, [digest])
      path.pop()
    }
  }

  // A directory is read again when it is its turn: its children are there by then.
  async #missingBelow(digest: Digest, session: StoreSession): Promise<Digest[]> {
    if ((await session.has([digest])).get(0)) return []
    const [info] = await this.#objects.stat([digest])
    if (info === undefined || info.type === 'file' || info.type === 'header') return []
    const [object] = await this.#objects.read([digest])
    if (object === undefined) return []
    const children = dependenciesOf(object.type, object.payload, 'tolerant')
    const leaves = children.filter(({ type }) => type === 'file' || type === 'header')
    const names = [...new Set(leaves.map(child => child.digest))]
    await copyMissing(this.#objects, session, names)
    const inner = children.filter(({ type }) => type === 'directory')
    const present = await session.has(inner.map(child => child.digest))
    return inner.flatMap((child, index) => (present.get(index) ? [] : [child.digest]))
  }
}
