import { InvalidArgumentError } from '../errors.js'
import type { ObjectStore } from '../store/object-store.js'
import type { FileCalls } from '../system/file-calls.js'
import type { CheckOptions } from './check/check-repository.js'
import type { Finding } from './check/finding.js'
import type { RepositoryConfig } from './config.js'
import { checkUnchanged } from './find-repository.js'
import type { GcOptions, GcReport } from './gc/gc-report.js'
import { KeptFolders } from './kept-folders.js'
import {
  acquireLock,
  type LockMode,
  type LockOptions,
  type RepositoryLock,
  withLock,
} from './lock.js'
import type {
  MigrationOptions,
  MigrationReport,
  MigrationTarget,
} from './migrate/migrate-repository.js'
import { MountSet } from './mount-set.js'
import { RemoteBook } from './remote-book.js'
import type { RebuildOptions, RebuildReport } from './repair/rebuild-index.js'
import type { RepositoryPaths } from './repository-paths.js'
import type { BeginOptions, RepositorySession } from './repository-session.js'
import { type ResolvedRef, resolveRef } from './resolve-ref.js'
import { listRoots, type Root, type RootOptions } from './roots.js'
import { type FoundSession, SessionRegistry } from './session-registry.js'
import { clearStaleTemp } from './stale-temp.js'
import { TagStore } from './tag-store.js'

/**
 * A repository on disk: objects, and what says which of them matter.
 *
 * Disposing it closes the files that reading its objects keeps open. One that nobody holds
 * any more lets go of them by itself, some time later: who opens many disposes them.
 */
export class Repository implements Disposable {
  /** The real path of its folder. */
  readonly root: string
  readonly config: RepositoryConfig
  readonly objects: ObjectStore
  readonly tags: TagStore
  readonly mounts: MountSet
  readonly remotes: RemoteBook
  readonly kept: KeptFolders
  readonly #paths: RepositoryPaths
  readonly #sessions: SessionRegistry
  #maintenanceProblem: Error | undefined

  constructor(
    paths: RepositoryPaths,
    config: RepositoryConfig,
    objects: ObjectStore,
    calls: FileCalls,
  ) {
    this.root = paths.root
    this.config = config
    this.objects = objects
    this.tags = new TagStore(paths, objects, calls)
    this.mounts = new MountSet(paths, objects, calls)
    this.remotes = new RemoteBook(paths, calls)
    this.kept = new KeptFolders(paths)
    this.#paths = paths
    this.#sessions = new SessionRegistry(paths)
  }

  [Symbol.dispose](): void {
    this.objects[Symbol.dispose]()
  }

  /** A folder for what can be made anew at any time; it need not be there. */
  get cacheFolder(): string {
    return this.#paths.cache
  }

  /**
   * Takes the repository's lock; the caller disposes it, soon.
   *
   * Throws LockBusyError after the wait that the options name.
   */
  async lock(mode: LockMode, options: LockOptions = {}): Promise<RepositoryLock> {
    return acquireLock(this.#paths, mode, options)
  }

  /**
   * Begins to add objects, having removed what dead sessions left behind; the caller
   * disposes the session. Publishing takes the shared lock for moments, waiting as the
   * options say.
   */
  async begin(options: BeginOptions): Promise<RepositorySession> {
    const {
      purpose,
      publishing,
      algorithm = this.config.algorithm,
      keepIn,
      ...wait
    } = options
    await this.#sessions.sweep()
    const registered = await this.#sessions.begin(purpose, wait)
    try {
      // No layout changes while a session runs, so this holds to its end.
      checkUnchanged(this.root, this.config)
      const { number } = registered
      const folder = keepIn ?? registered.folder
      const objects = await this.objects.begin({
        algorithm,
        folder,
        publishing,
        keep: keepIn !== undefined,
        guard: publish => withLock(this.#paths, { ...wait, mode: 'shared' }, publish),
      })
      const end = async (): Promise<void> => {
        try {
          await objects[Symbol.asyncDispose]()
        } finally {
          await registered[Symbol.asyncDispose]()
        }
        await this.#maintain()
      }
      return { number, folder, objects, [Symbol.asyncDispose]: end }
    } catch (error) {
      await registered[Symbol.asyncDispose]()
      throw error
    }
  }

  /** What kept the last session from tidying up behind it; undefined when nothing did. */
  get maintenanceProblem(): Error | undefined {
    return this.#maintenanceProblem
  }

  // Whoever added something must not fail for what was only meant to tidy up; the next
  // session tries again.
  async #maintain(): Promise<void> {
    const rooms = { paths: this.#paths, sessions: this.#sessions }
    try {
      if (this.config.layout === 'pack') {
        const { maintainPacks } = await import('./gc/maintain-packs.js')
        await maintainPacks(rooms, this.objects)
      } else {
        const { Reserve } = await import('./gc/reserve.js')
        new Reserve(this.root).ensure([])
      }
      this.#maintenanceProblem = undefined
    } catch (error) {
      this.#maintenanceProblem =
        error instanceof Error ? error : new Error('an unknown problem', { cause: error })
    }
  }

  /** The sessions that are there, dead ones included. */
  async sessions(): Promise<FoundSession[]> {
    return this.#sessions.list()
  }

  /** Removes what dead sessions, and old temporary files of others, left behind. */
  async sweep(): Promise<void> {
    await this.#sessions.sweep()
    await this.kept.expire()
    await clearStaleTemp(this.#paths)
  }

  /**
   * Finds what a reference names: a tag, `TAG@{n}`, a digest, or the first 8 or more
   * digits of one; throws RefNotFoundError, AmbiguousRefError.
   */
  async resolveRef(text: string): Promise<ResolvedRef> {
    return resolveRef(text, this)
  }

  /**
   * Checks tags, logs, mounts, and every object that they lead to, and yields what is
   * wrong; see checkRepository.
   */
  async *check(options: CheckOptions = {}): AsyncGenerator<Finding> {
    const { checkRepository } = await import('./check/check-repository.js')
    const { config, objects, tags, mounts } = this
    const own = { paths: this.#paths, sessions: this.#sessions }
    yield* checkRepository({ ...own, config, objects, tags, mounts }, options)
  }

  /**
   * Removes objects that no root leads to; readers and sessions go on meanwhile.
   *
   * Objects in packs go to the trash first, for a day unless told, and what began before
   * is waited for as the options say: a report that names sessions tells that the run has
   * to be repeated. What cannot be read is reported, and passed over.
   *
   * Throws InvalidTagFileError for a tag or a log that cannot be read, LockBusyError,
   * StorageFullError.
   */
  async gc(options: GcOptions = {}): Promise<GcReport> {
    const { collectGarbage } = await import('./gc/collect-garbage.js')
    const { tags, mounts } = this
    const { config } = this
    const rooms = { paths: this.#paths, sessions: this.#sessions, tags, mounts, config }
    return collectGarbage(rooms, options)
  }

  /**
   * Brings the repository into another layout: tags, logs and digests stay.
   *
   * Objects are copied beside those in use and verified, while readers and sessions go on;
   * then the new ones take their place at once, when no session runs. Garbage in the trash
   * is dropped. Broken off anywhere, the repository is what it was or what it shall be,
   * and what is left over goes with the next migration or collection. Whoever has the
   * repository open has to open it again: this object, too.
   *
   * Throws StorageFullError before anything is done if both do not fit, LockBusyError when
   * sessions go on for longer than the options wait, and CorruptObjectError for an object
   * that cannot be read.
   */
  async migrate(
    target: MigrationTarget,
    options: MigrationOptions = {},
  ): Promise<MigrationReport> {
    const { migrateRepository } = await import('./migrate/migrate-repository.js')
    const { tags, mounts } = this
    const rooms = { paths: this.#paths, sessions: this.#sessions, tags, mounts }
    return migrateRepository(rooms, target, options)
  }

  /**
   * Removes the repository, whole, if it holds nothing and no session uses it; false
   * otherwise. Throws LockBusyError.
   */
  async removeIfEmpty(options: LockOptions = {}): Promise<boolean> {
    const { removeEmptyRepository } = await import('./remove-empty.js')
    const rooms = { paths: this.#paths, sessions: this.#sessions }
    return removeEmptyRepository(this, rooms, options)
  }

  /**
   * Makes the merged index anew, and before it the trailers of packs that cannot be read.
   *
   * Throws InvalidArgumentError in a repository of the loose layout, LockBusyError while a
   * collector works, StorageFullError.
   */
  async rebuildIndex(options: RebuildOptions = {}): Promise<RebuildReport> {
    if (this.config.layout === 'loose') {
      throw new InvalidArgumentError(
        'nothing to rebuild: a repository of the loose layout has no index',
      )
    }
    const { rebuildIndex } = await import('./repair/rebuild-index.js')
    return rebuildIndex({ paths: this.#paths, sessions: this.#sessions }, options)
  }

  /** Everything that has to be kept, and why. */
  roots(options: RootOptions = {}): AsyncIterable<Root> {
    return listRoots(this.tags, this.mounts, options)
  }
}
