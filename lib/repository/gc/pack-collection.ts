import { LockBusyError } from '../../errors.js'
import { type Descriptor, noSubObjects } from '../../object/descriptor.js'
import { type Generation, OrdinalSet } from '../../store/pack/condemned-list.js'
import { type PackCalls, systemPackCalls } from '../../store/pack/pack-calls.js'
import type { PackFile } from '../../store/pack/pack-file.js'
import type { PackFolder } from '../../store/pack/pack-folder.js'
import { PackStore } from '../../store/pack/pack-store.js'
import { waitFor, withLock } from '../lock.js'
import type { RepositoryPaths } from '../repository-paths.js'
import type { RegisteredSession, SessionRegistry } from '../session-registry.js'
import { CondemnedFile } from './condemned-file.js'
import { defaultGrace, GcLedger, type GcOptions } from './gc-report.js'
import { ObjectMarks } from './object-marks.js'
import { PackRemoval } from './pack-removal.js'
import { packSizes } from './pack-sizes.js'
import { tallyOf } from './pack-tally.js'
import type { Reserve } from './reserve.js'
import { type RootRooms, RootWalk } from './root-walk.js'

const walkBatch = 1024

/** What a collection needs of a repository. */
export type CollectedRooms = RootRooms & {
  readonly paths: RepositoryPaths
  readonly sessions: SessionRegistry
}

/**
 * One run of the garbage collector over packs; its caller holds the collector's lock.
 *
 * Marks from the roots; condemns the rest durably, so that no new session relies on it;
 * waits for the sessions that might; marks again, and puts away what is still garbage;
 * removes what was put away long enough ago. Whatever interrupts it, the next run goes on.
 */
export class PackCollection {
  readonly #rooms: CollectedRooms
  readonly #options: GcOptions
  readonly #session: RegisteredSession
  readonly #reserve: Reserve
  readonly #calls: PackCalls
  readonly #store: PackStore
  readonly #condemned: CondemnedFile
  readonly #ledger = new GcLedger()
  readonly #now: number
  #marks: ObjectMarks
  #walk: RootWalk

  /** @param session - the collector's own; rewritten packs grow in its folder */
  constructor(
    rooms: CollectedRooms,
    options: GcOptions,
    own: { session: RegisteredSession; reserve: Reserve; packs: string },
  ) {
    this.#rooms = rooms
    this.#options = options
    this.#session = own.session
    this.#reserve = own.reserve
    this.#calls = options.calls ?? systemPackCalls
    this.#now = options.now ?? Date.now()
    this.#store = new PackStore(own.packs, { purpose: 'collect', calls: this.#calls })
    this.#condemned = new CondemnedFile(this.#folder, {
      reserve: own.reserve,
      calls: this.#calls,
      temp: own.session.folder,
    })
    this.#marks = new ObjectMarks(this.#folder)
    this.#walk = this.#newWalk()
  }

  get ledger(): GcLedger {
    return this.#ledger
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]()
  }

  /** Only tells what would become garbage. */
  async rehearse(): Promise<void> {
    this.#folder.refresh()
    const snapshot = this.#folder.packs
    await this.#markAll()
    this.#ledger.garbage = tallyOf(snapshot, this.#unmarked(snapshot))
    this.#tellTrash()
  }

  /** Takes everything out of the trash that may still be there. */
  async undo(): Promise<void> {
    this.#folder.refresh()
    const dead = this.#condemned.generations('dead')
    const restored = this.#condemned.generations('trash', 'condemned')
    for (const { packs } of restored) this.#addRestored(packs)
    if (restored.length > 0) await this.#condemned.write(dead)
  }

  async collect(): Promise<void> {
    this.#folder.refresh()
    await this.#condemned.forgetGonePacks()
    const [pending] = this.#condemned.generations('condemned')
    // What a run before condemned must be settled first: its sessions may have ended.
    if (pending !== undefined && !(await this.#settle(pending))) return
    const condemned = await this.#condemn()
    if (condemned !== undefined && !(await this.#settle(condemned))) return
    await this.#purge()
    this.#tellTrash()
    this.#reserve.ensure(packSizes(this.#folder.path))
  }

  get #folder(): PackFolder {
    return this.#store.folder
  }

  #newWalk(): RootWalk {
    const { now, window, signal, onProgress } = this.#options
    const met = { objects: 0, bytes: 0 }
    return new RootWalk(this.#store, this.#marks, {
      now: now ?? this.#now,
      ...(window === undefined ? {} : { window }),
      signal,
      onProblem: (where, error) => this.#ledger.problem(where, error),
      onMet: batch => {
        met.objects += batch.length
        for (const { size } of batch) met.bytes += size
        onProgress?.(met)
      },
    })
  }

  async #markAll(): Promise<void> {
    this.#marks = new ObjectMarks(this.#folder)
    this.#walk = this.#newWalk()
    await this.#walk.walk(this.#rooms)
    this.#ledger.reachable = {
      objects: this.#marks.objects,
      bytes: this.#marks.bytes,
    }
  }

  /** Marks from the roots, and writes down durably what they do not lead to. */
  async #condemn(): Promise<Generation | undefined> {
    const snapshot = this.#folder.packs
    const broken = [...this.#folder.broken]
    for (const [path, error] of broken) this.#ledger.problem(path, error)
    const before = this.#ledger.problems.length
    await this.#markAll()
    await this.#restoreReached()
    // A pack that cannot be read may hold what leads to the rest; it may be repaired.
    if (broken.length > 0 && this.#ledger.problems.length > before) return undefined
    const packs = this.#unmarked(snapshot)
    this.#ledger.garbage = tallyOf(snapshot, packs)
    if (this.#ledger.garbage.objects === 0) return undefined
    return this.#rooms.sessions.pause(async barrier => {
      const generation: Generation = {
        kind: 'condemned',
        time: this.#now,
        barrier,
        packs,
      }
      await this.#condemned.write([...this.#folder.condemned.generations, generation])
      return generation
    }, this.#options)
  }

  /**
   * Puts away what is still garbage when nobody can rely on it any more; false when
   * sessions that may do so go on for longer than this run waits.
   */
  async #settle(generation: Generation): Promise<boolean> {
    if (!(await this.#awaitSessions(generation.barrier))) return false
    this.#folder.refresh()
    await this.#walk.walk(this.#rooms)
    await this.#markNewPacks(generation)
    await this.#locked(async () => {
      await this.#walk.walk(this.#rooms)
      const packs = new Map<string, OrdinalSet>()
      for (const [name, set] of generation.packs) {
        const left = set.without(this.#marks.of(name))
        if (left.count > 0) packs.set(name, left)
      }
      const trash: Generation = { ...generation, kind: 'trash', time: this.#now, packs }
      await this.#condemned.write([
        ...this.#condemned.generations('trash', 'dead'),
        ...(packs.size > 0 ? [trash] : []),
      ])
    })
    return true
  }

  async #awaitSessions(barrier: number): Promise<boolean> {
    const { sessions, paths } = this.#rooms
    const inTheWay = (): number[] =>
      sessions.list().flatMap(({ number, state }) => {
        const counts = state === 'live' && number <= barrier
        return counts && number !== this.#session.number ? [number] : []
      })
    try {
      const awaited = { path: paths.sessions, what: 'end of earlier sessions' }
      await waitFor(() => inTheWay().length === 0, awaited, this.#options)
      return true
    } catch (error) {
      if (!(error instanceof LockBusyError)) throw error
      this.#ledger.waitingFor = inTheWay()
      return false
    }
  }

  /**
   * Marks what packs lead to that came after the garbage was looked for: whoever began
   * before it was condemned may have published them, relying on it, and may have died.
   */
  async #markNewPacks({ packs }: Generation): Promise<void> {
    for (const pack of this.#folder.packs) {
      if (packs.has(pack.name)) continue
      let batch: Descriptor[] = []
      for (const { digest, type, size } of this.#folder.visiblePlaces(pack)) {
        if (type !== 'application' && type !== 'directory') continue
        batch.push({ digest, type, size, ...noSubObjects })
        if (batch.length < walkBatch) continue
        await this.#markFrom(batch)
        batch = []
      }
      await this.#markFrom(batch)
    }
  }

  async #markFrom(objects: readonly Descriptor[]): Promise<void> {
    // What no root leads to may lack anything.
    await this.#walk.from(objects, () => undefined)
  }

  /** A root may lead to what was put away by mistake: it comes back. */
  async #restoreReached(): Promise<void> {
    let isChanged = false
    const generations = this.#folder.condemned.generations.map(generation => {
      const packs = new Map<string, OrdinalSet>()
      const restored = new Map<string, OrdinalSet>()
      for (const [name, set] of generation.packs) {
        const left = set.without(this.#marks.of(name))
        packs.set(name, left)
        if (left.count !== set.count) restored.set(name, set.without(left))
      }
      if (restored.size === 0) return generation
      isChanged = true
      this.#addRestored(restored)
      return { ...generation, packs }
    })
    if (isChanged) await this.#condemned.write(generations)
  }

  /** Whatever is in these packs, is not marked and not condemned before. */
  #unmarked(snapshot: readonly PackFile[]): Map<string, OrdinalSet> {
    const { condemned } = this.#folder
    return new Map(
      snapshot.map(pack => {
        const { name } = pack
        const dead = new OrdinalSet(pack.index.count)
        for (let ordinal = 0; ordinal < dead.length; ordinal++) {
          if (this.#marks.has(name, ordinal)) continue
          if (!condemned.hides(name, ordinal, 'store')) dead.add(ordinal)
        }
        return [name, dead] as const
      }),
    )
  }

  async #purge(): Promise<void> {
    const { grace = defaultGrace, signal } = this.#options
    const removal = new PackRemoval({
      store: this.#store,
      condemned: this.#condemned,
      ledger: this.#ledger,
      reserve: this.#reserve,
      calls: this.#calls,
      temp: this.#session.folder,
      signal,
      locked: async action => this.#locked(action),
    })
    await removal.purge({ grace, now: this.#now })
  }

  async #locked(action: () => Promise<void>): Promise<void> {
    await withLock(this.#rooms.paths, { ...this.#options, mode: 'exclusive' }, action)
  }

  #addRestored(packs: ReadonlyMap<string, OrdinalSet>): void {
    const { objects, bytes } = tallyOf(this.#folder.packs, packs)
    const { restored } = this.#ledger
    this.#ledger.restored = {
      objects: restored.objects + objects,
      bytes: restored.bytes + bytes,
    }
  }

  #tellTrash(): void {
    let objects = 0
    let bytes = 0
    for (const { packs } of this.#condemned.generations('condemned', 'trash', 'dead')) {
      const one = tallyOf(this.#folder.packs, packs)
      objects += one.objects
      bytes += one.bytes
    }
    this.#ledger.trash = { objects, bytes }
  }
}
