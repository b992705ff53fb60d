import type { Algorithm } from '../object/algorithm.js'
import { algorithmOf } from '../object/digest.js'
import { escapeBytes } from '../object/escape.js'
import type {
  HealingPlace,
  HealingSource,
  WantedObject,
} from '../repository/repair/healing-source.js'
import { storeApplication } from '../tree/source/store-application.js'
import { TakingSession } from '../tree/source/taking-session.js'

/**
 * A folder of this machine as a source of missing objects: it is stored as `cairn store`
 * would, and what comes out with a wanted digest is kept.
 */
export class FolderSource implements HealingSource {
  readonly name: string
  readonly #path: string | Buffer

  constructor(path: string | Buffer) {
    this.#path = path
    this.name = escapeBytes(Buffer.from(path))
  }

  async heal(wanted: readonly WantedObject[], place: HealingPlace): Promise<void> {
    const algorithms = new Set(wanted.map(({ digest }) => algorithmOf(digest)))
    for (const algorithm of algorithms) {
      const digests = new Set<string>(wanted.map(({ digest }) => digest))
      // What is below a missing directory is known when it comes by: then all is taken.
      const isWhole = await this.#take(place, algorithm, digest => digests.has(digest))
      if (!isWhole) await this.#take(place, algorithm, () => true)
    }
  }

  /** False when something wanted was not kept, because something below it was not. */
  async #take(
    place: HealingPlace,
    algorithm: Algorithm,
    takes: (digest: string) => boolean,
  ): Promise<boolean> {
    await using session = await place.begin()
    const taking = new TakingSession(session.objects, { algorithm, takes })
    await storeApplication(this.#path, taking, {
      onProblem: ({ message }) => place.onProblem(this.name, message),
      ...(place.signal === undefined ? {} : { signal: place.signal }),
    })
    await session.objects.publish([])
    return !taking.isIncomplete
  }
}
