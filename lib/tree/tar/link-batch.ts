import type { ObjectLink } from '../../object/descriptor.js'
import type { ObjectType } from '../../object/object-type.js'
import type { NewObject, StoreSession } from '../../store/object-store.js'

const maxObjects = 200
const maxBytes = 4 * 1024 * 1024

/** Told the link of an object once it is committed. */
type TakeLink = (link: ObjectLink) => void

/** Gathers small objects, so that a promise stands for a batch of them. */
export class LinkBatch {
  readonly #session: StoreSession
  #objects: NewObject[] = []
  #takers: TakeLink[] = []
  #bytes = 0

  constructor(session: StoreSession) {
    this.#session = session
  }

  /** Whether it is time to flush. */
  get isFull(): boolean {
    return this.#objects.length >= maxObjects || this.#bytes >= maxBytes
  }

  /** Adds an object, whose payload must not change before the next flush. */
  add(type: ObjectType, payload: Uint8Array, take: TakeLink): void {
    this.#objects.push({ type, payload })
    this.#takers.push(take)
    this.#bytes += payload.length
  }

  async flush(): Promise<void> {
    if (this.#objects.length === 0) return
    const objects = this.#objects
    const takers = this.#takers
    this.#objects = []
    this.#takers = []
    this.#bytes = 0
    const links = await this.#session.put(objects)
    for (const [index, take] of takers.entries()) {
      const link = links[index]
      if (link === undefined) throw new Error('a session answered for no object')
      take(link)
    }
  }
}
