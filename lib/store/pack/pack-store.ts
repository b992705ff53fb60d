import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ObjectNotFoundError } from '../../errors.js'
import type { Digest } from '../../object/digest.js'
import { syncFolder } from '../../system/sync.js'
import { Bitmap } from '../bitmap.js'
import type {
  ByteRange,
  ObjectInfo,
  ObjectStore,
  ObjectStream,
  StoreSession,
  StoreSessionOptions,
  WholeObject,
} from '../object-store.js'
import { type PackCalls, systemPackCalls } from './pack-calls.js'
import { type FoundObject, PackFolder } from './pack-folder.js'
import { openPayload, readPayload } from './pack-payload.js'
import { PackSession } from './pack-session.js'

const listBatch = 1024

/** How a pack store works. */
export type PackStoreOptions = {
  /** Writes through these instead of the system's own. */
  readonly calls?: PackCalls
}

/**
 * Opens the objects of a repository that keeps them in packs (docs/format.md).
 *
 * @param root - the repository's folder; `packs` is made below it when it is missing
 */
export function openPackStore(root: string, options: PackStoreOptions = {}): PackStore {
  const packs = join(root, 'packs')
  if (mkdirSync(packs, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(root)
  return new PackStore(packs, options.calls ?? systemPackCalls)
}

/** Objects in sealed packs: a few files, whatever the number of objects. */
export class PackStore implements ObjectStore, Disposable {
  readonly #folder: PackFolder
  readonly #calls: PackCalls

  constructor(packs: string, calls: PackCalls) {
    this.#folder = new PackFolder(packs)
    this.#calls = calls
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    const found = new Bitmap(digests.length)
    for (const [index, place] of this.#findAll(digests).entries())
      if (place) found.set(index)
    return found
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    return this.#findAll(digests).map(
      found => found && { type: found.place.type, size: found.place.size },
    )
  }

  async read(digests: readonly Digest[]): Promise<readonly WholeObject[]> {
    return digests.map(digest => readPayload(this.#get(digest)))
  }

  async open(digest: Digest, range?: ByteRange): Promise<ObjectStream> {
    return openPayload(this.#get(digest), range)
  }

  async *list(prefix = ''): AsyncGenerator<readonly Digest[]> {
    this.#folder.refresh()
    const uses = this.#folder.packs.map(pack => ({ pack, use: pack.use() }))
    try {
      yield* batches(mergePlaces(uses.map(({ pack }) => pack.index.places(prefix))))
    } finally {
      for (const { use } of uses) use[Symbol.dispose]()
    }
  }

  async begin(options: StoreSessionOptions): Promise<StoreSession> {
    this.#folder.refresh()
    return new PackSession(this.#folder, this.#calls, options)
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]()
  }

  // Looks into the folder again at most once a batch.
  #findAll(digests: readonly Digest[]): (FoundObject | undefined)[] {
    const found = digests.map(digest => this.#folder.find(digest))
    if (found.every(Boolean) || !this.#folder.refresh()) return found
    return digests.map(digest => this.#folder.find(digest))
  }

  #get(digest: Digest): FoundObject {
    const found = this.#folder.findFresh(digest)
    if (found === undefined)
      throw new ObjectNotFoundError(`no object ${digest}`, { digest })
    return found
  }
}

// Joins ascending rows of several packs into one ascending row, each digest once.
function* mergePlaces(rows: Generator<{ digest: Digest }>[]): Generator<Digest> {
  const heads = rows.map(row => ({ row, next: row.next() }))
  let before: Digest | undefined
  for (;;) {
    let least: (typeof heads)[number] | undefined
    for (const head of heads) {
      if (head.next.done === true) continue
      if (least === undefined || least.next.done === true) least = head
      else if (head.next.value.digest < least.next.value.digest) least = head
    }
    if (least === undefined || least.next.done === true) return
    const { digest } = least.next.value
    if (digest !== before) yield digest
    before = digest
    least.next = least.row.next()
  }
}

function* batches(digests: Generator<Digest>): Generator<readonly Digest[]> {
  let batch: Digest[] = []
  for (const digest of digests) {
    batch.push(digest)
    if (batch.length < listBatch) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
