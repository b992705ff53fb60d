import { walkClosure } from '../../closure/closure-walk.js'
import { CorruptObjectError } from '../../errors.js'
import type { Descriptor } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { LooseLayout } from '../../store/loose-layout.js'
import { LooseStore, openLooseStore } from '../../store/loose-store.js'
import type { ObjectStore, StoreSession } from '../../store/object-store.js'
import { openPackStore } from '../../store/pack/pack-store.js'
import { systemFileCalls } from '../../system/file-calls.js'
import { type Compression, payloadCompression } from '../compression.js'
import {
  changeConfig,
  type RepositoryConfig,
  type StoreLayout,
  type WrittenConfig,
} from '../config.js'
import { getRepositoryConfig } from '../find-repository.js'
import { lockCollector } from '../gc/collector-lock.js'
import type { RootRooms } from '../gc/root-walk.js'
import { type LockOptions, withLock } from '../lock.js'
import { runAlone } from '../lone-session.js'
import { newObjectMemory } from '../object-memory.js'
import type { RepositoryPaths } from '../repository-paths.js'
import { listRoots } from '../roots.js'
import type { RegisteredSession, SessionRegistry } from '../session-registry.js'
import { naming } from '../system-failure.js'
import { copyMissing, verifyObjects } from './copy-objects.js'
import { LayoutFiles } from './layout-files.js'
import { checkRoom } from './needed-space.js'

/** What a repository becomes. */
export type MigrationTarget = {
  readonly layout: StoreLayout
  /** Of what is stored from now on, and of objects that move into packs. */
  readonly compression?: Compression
}

export type MigrationOptions = LockOptions & {
  readonly onProgress?: (progress: {
    readonly phase: 'copy' | 'verify'
    readonly objects: number
    readonly bytes: number
  }) => void
}

/** What a migration did. */
export type MigrationReport = {
  readonly config: WrittenConfig
  /** Whether the objects moved; when only the compression changed they did not. */
  readonly moved: boolean
  readonly objects: number
  /** Payload bytes. */
  readonly bytes: number
}

type Rooms = RootRooms & {
  readonly paths: RepositoryPaths
  readonly sessions: SessionRegistry
}

/** Brings a repository into another layout; see Repository.migrate. */
export async function migrateRepository(
  rooms: Rooms,
  target: MigrationTarget,
  options: MigrationOptions = {},
): Promise<MigrationReport> {
  const { paths, sessions } = rooms
  return naming('migrate', paths.root, async () => {
    using lock = await lockCollector(paths.root, options)
    const config = getRepositoryConfig(paths.root)
    const changed = changeConfig(config, {
      layout: target.layout,
      compression: target.compression ?? keptCompression(config, target.layout),
    })
    await sessions.sweep()
    const files = new LayoutFiles(paths)
    await files.clear(config.layout)
    const moved =
      config.layout === changed.layout
        ? undefined
        : await new Move(rooms, { files, config, changed, options }).run()
    if (moved === undefined && config.compression !== changed.compression) {
      await withLock(paths, { ...options, mode: 'exclusive' }, async () =>
        files.writeConfig(changed),
      )
    }
    await files.clear(changed.layout)
    lock[Symbol.dispose]()
    const { objects, bytes } = moved ?? { objects: 0, bytes: 0 }
    return { config: changed, moved: moved !== undefined, objects, bytes }
  })
}

function keptCompression(config: RepositoryConfig, layout: StoreLayout): Compression {
  return layout === 'pack' ? config.compression : 'none'
}

type MoveParts = {
  readonly files: LayoutFiles
  readonly config: RepositoryConfig
  readonly changed: WrittenConfig
  readonly options: MigrationOptions
}

/** Objects on their way into another layout, beside the one that is in use. */
class Move {
  readonly #rooms: Rooms
  readonly #parts: MoveParts
  readonly #done = { objects: 0, bytes: 0 }
  /** From here on both layouts may be needed, whatever happens. */
  #isSwitching = false

  constructor(rooms: Rooms, parts: MoveParts) {
    this.#rooms = rooms
    this.#parts = parts
  }

  async run(): Promise<{ objects: number; bytes: number }> {
    const { files, config, changed, options } = this.#parts
    const { paths, sessions } = this.#rooms
    using from = openSource(paths.root, config)
    await checkRoom(paths.root, from, changed.layout)
    await using own = await sessions.begin('migrate', options)
    try {
      files.make(changed.layout)
      using to = openTarget(paths.root, files, changed)
      await this.#copyAll(from, to, own)
      await this.#verifyAll(to)
      const place = { paths, sessions, own: own.number }
      await runAlone(place, async () => this.#finish(from, to, own), options)
    } catch (error) {
      if (!this.#isSwitching) await files.clear(config.layout)
      throw error
    }
    return this.#done
  }

  /** In the order of trees, so that what is read together lies together. */
  async #copyAll(from: ObjectStore, to: ObjectStore, own: RegisteredSession) {
    await using session = await this.#begin(to, own)
    const roots: Descriptor[] = []
    for await (const root of listRoots(this.#rooms.tags, this.#rooms.mounts)) {
      if (root.kind !== 'mount') roots.push(root.descriptor)
    }
    const walk = walkClosure(from, roots, {
      order: 'children-first',
      memory: await newObjectMemory({ objects: from, config: this.#parts.config }),
      // This is only about order: whatever is there is copied below, or cannot be read.
      onProblem: () => undefined,
    })
    for await (const batch of walk) {
      await this.#copy(
        from,
        session,
        batch.map(({ digest }) => digest),
      )
    }
    for await (const digests of from.list()) await this.#copy(from, session, digests)
    await session.publish([])
  }

  async #copy(from: ObjectStore, session: StoreSession, digests: readonly Digest[]) {
    const { signal } = this.#parts.options
    signal?.throwIfAborted()
    await copyMissing(from, session, digests, copied => {
      this.#done.objects += copied.objects
      this.#done.bytes += copied.bytes
      this.#tell('copy', this.#done)
    })
  }

  async #verifyAll(to: ObjectStore): Promise<void> {
    const { signal } = this.#parts.options
    const verified = { objects: 0, bytes: 0 }
    for await (const digests of to.list()) {
      signal?.throwIfAborted()
      await verifyObjects(to, digests, ({ objects, bytes }) => {
        verified.objects += objects
        verified.bytes += bytes
        this.#tell('verify', verified)
      })
    }
  }

  /** Takes what came meanwhile, and makes the new layout the repository's. */
  async #finish(from: ObjectStore, to: ObjectStore, own: RegisteredSession) {
    const { files, changed, options } = this.#parts
    await withLock(this.#rooms.paths, { ...options, mode: 'exclusive' }, async () => {
      from.refresh?.()
      const late: Digest[] = []
      for await (const digests of from.list()) {
        const present = await to.has(digests)
        late.push(...digests.filter((_, index) => !present.get(index)))
      }
      {
        await using session = await this.#begin(to, own)
        await this.#copy(from, session, late)
        await session.publish([])
      }
      await verifyObjects(to, late)
      this.#isSwitching = true
      await files.switch(changed)
    })
  }

  async #begin(to: ObjectStore, { folder }: RegisteredSession): Promise<StoreSession> {
    const { algorithm } = this.#parts.changed
    return to.begin({ algorithm, folder, publishing: 'gradual', accepts: 'stored' })
  }

  #tell(phase: 'copy' | 'verify', done: { objects: number; bytes: number }): void {
    this.#parts.options.onProgress?.({ phase, ...done })
  }
}

function openSource(root: string, { layout }: RepositoryConfig): ObjectStore {
  if (layout === 'loose') return openLooseStore(root)
  const store = openPackStore(root)
  store.refresh()
  for (const [path, error] of store.folder.broken) {
    store[Symbol.dispose]()
    throw new CorruptObjectError(
      `cannot migrate ${root}: ${error.message}`,
      { path },
      { cause: error },
    )
  }
  return store
}

function openTarget(
  root: string,
  files: LayoutFiles,
  { layout, compression }: WrittenConfig,
): ObjectStore {
  if (layout === 'pack') {
    return openPackStore(root, { compression: payloadCompression(compression) })
  }
  return new LooseStore(new LooseLayout(files.growingLoose), {
    calls: systemFileCalls,
    batchObjects: 4096,
  })
}
