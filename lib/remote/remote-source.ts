import { CairnError } from '../errors.js'
import type { Descriptor } from '../object/descriptor.js'
import type {
  HealingPlace,
  HealingSource,
  WantedObject,
} from '../repository/repair/healing-source.js'
import type { RepositorySession } from '../repository/repository-session.js'
import type { RemoteObjectStore } from './remote-object-store.js'

// Directories bring what is missing below them.
const rank = { application: 0, directory: 1, header: 2, file: 3 } as const

// A remote that is silent so often is asked no more.
const maxSilences = 2

/** A remote repository as a source of missing objects. */
export class RemoteSource implements HealingSource {
  readonly name: string
  readonly #remote: RemoteObjectStore

  constructor(remote: RemoteObjectStore) {
    this.name = remote.url.href
    this.#remote = remote
  }

  async heal(wanted: readonly WantedObject[], place: HealingPlace): Promise<void> {
    // Whether it can be reached at all.
    await this.#remote.listTags(
      place.signal === undefined ? {} : { signal: place.signal },
    )
    const descriptors = wanted
      .flatMap(({ descriptor }) => descriptor ?? [])
      .toSorted((one, other) => rank[one.type] - rank[other.type])
    const fetching = new Fetching(this.#remote, place)
    try {
      for (const descriptor of descriptors) await fetching.fetch(descriptor)
    } finally {
      await fetching[Symbol.asyncDispose]()
    }
  }
}

class Fetching implements AsyncDisposable {
  readonly #remote: RemoteObjectStore
  readonly #place: HealingPlace
  #session: RepositorySession | undefined
  #silences = 0

  constructor(remote: RemoteObjectStore, place: HealingPlace) {
    this.#remote = remote
    this.#place = place
  }

  async fetch(descriptor: Descriptor): Promise<void> {
    const { signal, published } = this.#place
    signal?.throwIfAborted()
    this.#session ??= await this.#place.begin()
    const { objects } = this.#session
    if ((await objects.has([descriptor.digest])).get(0)) return
    try {
      await this.#remote.fetch(descriptor, objects, {
        published,
        ...(signal === undefined ? {} : { signal }),
      })
    } catch (error) {
      // What came of it goes with the session.
      await this[Symbol.asyncDispose]()
      signal?.throwIfAborted()
      if (!(error instanceof CairnError) || error.code === 'storage_full') throw error
      if (error.code === 'timed_out' && ++this.#silences >= maxSilences) throw error
      this.#place.onProblem(
        this.#remote.url.href,
        `cannot fetch ${descriptor.type} ${descriptor.digest}: ${error.message}`,
      )
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.[Symbol.asyncDispose]()
  }
}
