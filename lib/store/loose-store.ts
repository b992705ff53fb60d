import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Digest } from '../object/digest.js'
import { type FileCalls, systemFileCalls } from '../system/file-calls.js'
import { syncFolder } from '../system/sync.js'
import { Bitmap } from './bitmap.js'
import {
  findObjectFile,
  isObjectFile,
  openObjectStream,
  readObjectFile,
} from './loose-file.js'
import { LooseLayout } from './loose-layout.js'
import { LooseSession, type LooseWriting } from './loose-session.js'
import type {
  ByteRange,
  ObjectInfo,
  ObjectStore,
  ObjectStream,
  StoreSession,
  StoreSessionOptions,
  WholeObject,
} from './object-store.js'

const listBatch = 1024

/** How a loose store works. */
export type LooseStoreOptions = {
  /** Writes through these instead of the system's own. */
  readonly calls?: FileCalls
  /** Committed objects that a gradual session publishes at once. */
  readonly batchObjects?: number
}

/**
 * Opens the objects of a repository of version 1, one file each (format section 3).
 *
 * @param root - the repository's folder; `objects` is made below it when it is missing
 */
export function openLooseStore(
  root: string,
  options: LooseStoreOptions = {},
): LooseStore {
  const objects = join(root, 'objects')
  if (mkdirSync(objects, { recursive: true, mode: 0o755 }) !== undefined) syncFolder(root)
  return new LooseStore(new LooseLayout(objects), {
    calls: options.calls ?? systemFileCalls,
    batchObjects: options.batchObjects ?? 4096,
  })
}

/**
 * Objects in the layout of version 1.
 *
 * What lies at an object's place and cannot be one (an empty file, a link, a folder)
 * counts as absent to has and stat, so that it is stored anew; reading it throws
 * CorruptObjectError.
 */
export class LooseStore implements ObjectStore {
  readonly #layout: LooseLayout
  readonly #writing: LooseWriting

  constructor(layout: LooseLayout, writing: LooseWriting) {
    this.#layout = layout
    this.#writing = writing
  }

  async has(digests: readonly Digest[]): Promise<Bitmap> {
    const found = new Bitmap(digests.length)
    for (const [index, digest] of digests.entries()) {
      if (isObjectFile(this.#layout.path(digest))) found.set(index)
    }
    return found
  }

  async stat(digests: readonly Digest[]): Promise<readonly (ObjectInfo | undefined)[]> {
    return digests.map(digest => findObjectFile(this.#layout.path(digest)))
  }

  async read(digests: readonly Digest[]): Promise<readonly WholeObject[]> {
    return digests.map(digest => readObjectFile(this.#place(digest)))
  }

  async open(digest: Digest, range?: ByteRange): Promise<ObjectStream> {
    return openObjectStream(this.#place(digest), range)
  }

  async *list(prefix = ''): AsyncGenerator<readonly Digest[]> {
    let batch: Digest[] = []
    for (const digest of this.#layout.list(prefix)) {
      batch.push(digest)
      if (batch.length < listBatch) continue
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  }

  /** Nothing stays open between calls. */
  [Symbol.dispose](): void {}

  async begin(options: StoreSessionOptions): Promise<StoreSession> {
    return new LooseSession(this.#layout, this.#writing, options)
  }

  #place(digest: Digest): { digest: Digest; path: string } {
    return { digest, path: this.#layout.path(digest) }
  }
}
