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
  PayloadLocator,
  StoreSessionOptions,
  WholeObject,
} from '../object-store.js'
import type { Purpose } from './condemned-list.js'
import { type PackCalls, systemPackCalls } from './pack-calls.js'
import { type FoundObject, PackFolder } from './pack-folder.js'
import { PackLocator } from './pack-locator.js'
import { openPayload, readPayload, storedObject } from './pack-payload.js'
import { PackSession } from './pack-session.js'
import type { SourceObject } from './pack-stream-writer.js'
import { type Compression, checkCompression, PayloadCoder } from './payload-coder.js'
import { loadZstd, type Zstd } from './zstd.js'

const listBatch = 1024
const uncompressed: Compression = { codec: 'none' }

/** How a pack store works. */
export type PackStoreOptions = {
  /** Writes through these instead of the system's own. */
  readonly calls?: PackCalls
  /** How new objects are stored, unless a session says otherwise: by default not compressed. */
  readonly compression?: Compression
  /** Compresses with this instead of the fastest that the platform has. */
  readonly zstd?: () => Promise<Zstd>
  /** `collect` sees what is condemned and what is in the trash, too; `read` is the default. */
  readonly purpose?: Purpose
}

/** How a session of a pack store works. */
export type PackSessionOptions = StoreSessionOptions & {
  readonly compression?: Compression
}

/**
 * Opens the objects of a repository that keeps them in packs (docs/format-packs.md).
 *
 * @param root - the repository's folder; `packs` is made below it when it is missing
 */
export function openPackStore(root: string, options: PackStoreOptions = {}): PackStore {
  const packs = join(root, 'packs')
  if (mkdirSync(packs, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(root)
  return new PackStore(packs, options)
}

/** Objects in sealed packs: a few files, whatever the number of objects. */
export class PackStore implements ObjectStore {
  readonly #folder: PackFolder
  readonly #calls: PackCalls
  readonly #compression: Compression
  readonly #loadZstd: () => Promise<Zstd>
  readonly #purpose: Purpose
  #zstd: Promise<Zstd> | undefined

  constructor(packs: string, options: PackStoreOptions = {}) {
    this.#folder = new PackFolder(packs)
    this.#calls = options.calls ?? systemPackCalls
    this.#compression = options.compression ?? uncompressed
    this.#loadZstd = options.zstd ?? loadZstd
    this.#purpose = options.purpose ?? 'read'
    checkCompression(this.#compression)
  }

  /** The packs: for maintenance, and for readers that place objects in files. */
  get folder(): PackFolder {
    return this.#folder
  }

  refresh(): void {
    this.#folder.refresh()
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    const found = new Bitmap(digests.length)
    for (const [index, place] of this.#folder.findAll(digests, this.#purpose).entries())
      if (place) found.set(index)
    return found
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    return this.#folder
      .findAll(digests, this.#purpose)
      .map(found => found && { type: found.place.type, size: found.place.size })
  }

  async read(digests: readonly Digest[]): Promise<readonly WholeObject[]> {
    const isCoded = digests.some(digest => this.#get(digest).place.codec !== 'raw')
    const zstd = isCoded ? await this.codec() : undefined
    // A pack may have gone while the codec was loaded, so each object is found again.
    const objects: WholeObject[] = []
    for (const digest of digests) objects.push(readPayload(this.#get(digest), zstd))
    return objects
  }

  async open(digest: Digest, range?: ByteRange): Promise<ObjectStream> {
    return openPayload(this.#get(digest), async () => this.codec(), range)
  }

  /**
   * Reads objects in the form in which they are stored, in order, not verified.
   *
   * Throws ObjectNotFoundError. The chunks of one must be read before the store is
   * disposed.
   */
  async readStored(digests: readonly Digest[]): Promise<readonly SourceObject[]> {
    return digests.map(digest => storedObject(this.#get(digest)))
  }

  async storedSizes(digests: readonly Digest[]): Promise<readonly number[]> {
    return digests.map(digest => this.#get(digest).place.storedSize)
  }

  async *list(prefix = ''): AsyncGenerator<readonly Digest[]> {
    this.#folder.refresh()
    const uses = this.#folder.packs.map(pack => ({ pack, use: pack.use() }))
    try {
      yield* batches(
        mergePlaces(uses.map(({ pack }) => this.#folder.visiblePlaces(pack, prefix))),
      )
    } finally {
      for (const { use } of uses) use[Symbol.dispose]()
    }
  }

  /** The objects of packs, told by their file names, that something new may rely on. */
  *listPacks(names: ReadonlySet<string>): Generator<Digest> {
    for (const pack of this.#folder.packs) {
      if (!names.has(pack.name)) continue
      using _ = pack.use()
      for (const { digest } of this.#folder.visiblePlaces(pack)) {
        if (this.#folder.find(digest, 'store') !== undefined) yield digest
      }
    }
  }

  async begin(options: PackSessionOptions): Promise<PackSession> {
    this.#folder.refresh()
    this.#folder.dropCut()
    const compression = options.compression ?? this.#compression
    checkCompression(compression)
    const coder =
      compression.codec === 'zstd'
        ? new PayloadCoder(await this.codec(), compression.level)
        : undefined
    const zstd = async () => this.codec()
    return new PackSession(
      { folder: this.#folder, calls: this.#calls, coder, zstd },
      options,
    )
  }

  locator(): PayloadLocator {
    return new PackLocator(this.#folder, this.#purpose)
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]()
  }

  /** The codec of compressed payloads: loaded once. */
  async codec(): Promise<Zstd> {
    this.#zstd ??= this.#loadZstd()
    return this.#zstd
  }

  #get(digest: Digest): FoundObject {
    const found = this.#folder.findFresh(digest, this.#purpose)
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
