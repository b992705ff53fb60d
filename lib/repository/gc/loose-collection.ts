import { lstatSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { walkClosure } from '../../closure/closure-walk.js'
import { type ObjectMemory, SeenObjects } from '../../closure/seen-objects.js'
import { LockBusyError } from '../../errors.js'
import { type Descriptor, noSubObjects } from '../../object/descriptor.js'
import type { Digest } from '../../object/digest.js'
import { LooseLayout } from '../../store/loose-layout.js'
import { type LooseStore, openLooseStore } from '../../store/loose-store.js'
import { systemPackCalls } from '../../store/pack/pack-calls.js'
import type { FileCalls } from '../../system/file-calls.js'
import { CheckReader } from '../check/check-reader.js'
import { removeIfThere } from '../durable-file.js'
import { withLock } from '../lock.js'
import { otherSessions, runAlone } from '../lone-session.js'
import type { RegisteredSession } from '../session-registry.js'
import { GcLedger, type GcOptions } from './gc-report.js'
import type { CollectedRooms } from './pack-collection.js'
import { RootWalk } from './root-walk.js'

// Files removed under one lock.
const batchFiles = 256

/**
 * One run of the garbage collector over objects that are a file each; its caller holds the
 * collector's lock.
 *
 * There is no trash: unless something could not be read, what no root leads to is removed while no session runs, in short
 * batches, objects before what they refer to, so that a run can stop anywhere.
 */
export class LooseCollection {
  readonly #rooms: CollectedRooms
  readonly #options: GcOptions
  readonly #session: RegisteredSession
  readonly #calls: FileCalls
  readonly #store: LooseStore
  readonly #layout: LooseLayout
  readonly #met = new MetObjects()
  readonly #walk: RootWalk
  readonly #ledger = new GcLedger()

  constructor(rooms: CollectedRooms, options: GcOptions, session: RegisteredSession) {
    this.#rooms = rooms
    this.#options = options
    this.#session = session
    this.#calls = options.calls ?? systemPackCalls
    this.#store = openLooseStore(rooms.paths.root)
    this.#layout = new LooseLayout(rooms.paths.objects)
    const { window, now, signal, onProgress } = options
    const met = { objects: 0, bytes: 0 }
    this.#walk = new RootWalk(this.#store, this.#met, {
      ...(window === undefined ? {} : { window }),
      ...(now === undefined ? {} : { now }),
      signal,
      onProblem: (where, error) => this.#ledger.problem(where, error),
      onMet: batch => {
        met.objects += batch.length
        for (const { size } of batch) met.bytes += size
        onProgress?.(met)
      },
    })
  }

  get ledger(): GcLedger {
    return this.#ledger
  }

  async rehearse(): Promise<void> {
    await this.#findGarbage()
  }

  async collect(): Promise<void> {
    const garbage = await this.#findGarbage()
    // What cannot be read may lead to some of it, and could be repaired.
    if (this.#ledger.problems.length > 0 && this.#options.grace !== 0) return
    for (let start = 0; start < garbage.length; start += batchFiles) {
      const batch = garbage.slice(start, start + batchFiles)
      if (!(await this.#removeQuietly(batch))) return
      await setImmediate()
    }
  }

  /** What no root leads to, objects before what they refer to. */
  async #findGarbage(): Promise<Digest[]> {
    await this.#walk.walk(this.#rooms)
    this.#ledger.reachable = { objects: this.#met.count, bytes: this.#met.bytes }
    const inner: Descriptor[] = []
    const leaves: Digest[] = []
    let bytes = 0
    for await (const digests of this.#store.list()) {
      const unmet = digests.filter(digest => !this.#met.has(digest))
      for (const [index, info] of (await this.#store.stat(unmet)).entries()) {
        const digest = unmet[index]
        if (digest === undefined || info === undefined) continue
        bytes += info.size + 1
        const { type, size } = info
        if (type === 'file' || type === 'header') leaves.push(digest)
        else inner.push({ digest, type, size, ...noSubObjects })
      }
    }
    const objects = inner.length + leaves.length
    this.#ledger.garbage = { objects, bytes }
    return [...(await this.#parentsFirst(inner)), ...leaves]
  }

  async #parentsFirst(inner: readonly Descriptor[]): Promise<Digest[]> {
    const wanted = new Set(inner.map(({ digest }) => digest))
    const ordered: Digest[] = []
    const walk = walkClosure(new CheckReader(this.#store), inner, {
      order: 'children-first',
      prune: ({ digest }) => !wanted.has(digest),
      // Garbage may lack anything, and cannot be read where it is damaged.
      onProblem: () => undefined,
    })
    for await (const batch of walk) {
      for (const { digest } of batch) if (wanted.delete(digest)) ordered.push(digest)
    }
    // What cannot be read is taken for the parent of the rest.
    return [...wanted, ...ordered.toReversed()]
  }

  /** Removes objects while no session runs; false when sessions are in the way too long. */
  async #removeQuietly(batch: readonly Digest[]): Promise<boolean> {
    const { sessions, paths } = this.#rooms
    const place = { sessions, paths, own: this.#session.number }
    const remove = async (): Promise<void> =>
      withLock(paths, { ...this.#options, mode: 'exclusive' }, async () => {
        await this.#walk.walk(this.#rooms)
        for (const digest of batch) this.#remove(digest)
      })
    try {
      await runAlone(place, remove, this.#options)
      return true
    } catch (error) {
      const inTheWay = otherSessions(place)
      if (!(error instanceof LockBusyError) || inTheWay.length === 0) throw error
      this.#ledger.waitingFor = inTheWay
      return false
    }
  }

  #remove(digest: Digest): void {
    // A tag may have been set to it since it was found.
    if (this.#met.has(digest)) return
    const path = this.#layout.path(digest)
    const blocks = lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0
    if (removeIfThere(path, this.#calls)) this.#ledger.freedBytes += blocks * 512
  }
}

// Remembers digests, and how much they are.
class MetObjects implements ObjectMemory {
  readonly #seen = new SeenObjects()
  #bytes = 0

  get count(): number {
    return this.#seen.count
  }

  get bytes(): number {
    return this.#bytes
  }

  has(digest: Digest): boolean {
    return this.#seen.has(digest)
  }

  add(descriptor: Descriptor): 'new' | 'same' | 'other' {
    const seen = this.#seen.add(descriptor)
    if (seen !== 'new') return seen
    this.#bytes += descriptor.size + 1
    return seen
  }
}
