import { closeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { DirectoryEntry } from '../../object/directory.js'
import type { PayloadLocator } from '../../store/object-store.js'
import { joinPath } from '../../system/directory-descent.js'
import { locatedError } from '../located-error.js'
import type { BatchCrew } from './batch-crew.js'
import type { AttributePlanner } from './file-attributes.js'
import { BatchBuilder, isPlainTime } from './file-batch.js'
import type { EntryMetadata, MetadataWriter } from './metadata-writer.js'
import { replaceEntry } from './replace-entry.js'
import type { WorkFolder } from './work-folder.js'
import { writingError } from './writing-error.js'

/** An entry of the walk that is to be made. */
export type Step = {
  readonly entry: DirectoryEntry
  readonly ordinal: number
  readonly metadata: EntryMetadata
}

/** A folder that gets files. */
export type FillingFolder = {
  readonly fd: number
  /** Where its files are made, to be moved into it: set for one that was there before. */
  readonly work: WorkFolder | undefined
  /** Its path inside the tree. */
  readonly path: Buffer
  /** Files that are still to be made in it. */
  pending: number
  /** Set when the walk has left it: then the last file finishes it. */
  metadata: EntryMetadata | undefined
}

/** What a walk does when files were made, and when one could not be. */
export type FileListener = {
  readonly made: (files: number, bytes: number) => void
  /** Makes a file in the careful way, which tells what is wrong with it. */
  readonly redo: (path: Buffer, step: Step) => Promise<void>
}

const batchFiles = 128
const batchBytes = 4 * 1024 * 1024
// Folders stay open until their files are made.
const batchFolders = 64

type Waiting = {
  readonly step: Step
  readonly folder: FillingFolder
  /** Where it is made. */
  readonly path: Buffer
}

/** What makes ordinary files. */
export type OrdinaryFileTools = {
  readonly locator: PayloadLocator
  readonly planner: AttributePlanner
  readonly metadata: MetadataWriter
  readonly crew: BatchCrew
  /** Larger files are left to the walk. */
  readonly maxBytes: number
  readonly verifyClones: boolean
}

/**
 * Gathers the files of a walk that need nothing special, and has them made in batches.
 *
 * Folders whose files are not there yet are finished when they are.
 */
export class OrdinaryFiles {
  readonly #tools: OrdinaryFileTools
  readonly #listener: FileListener
  readonly #builder = new BatchBuilder(batchFiles)
  #waiting: Waiting[] = []
  readonly #folders = new Set<FillingFolder>()
  readonly #running = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined

  constructor(tools: OrdinaryFileTools, listener: FileListener) {
    this.#tools = tools
    this.#listener = listener
  }

  /** Takes a file that is to be made; false for what is not ordinary. */
  take(step: Step, folder: FillingFolder): boolean {
    const { entry, metadata } = step
    const { locator, planner, maxBytes } = this.#tools
    if (entry.kind !== 'regular' || entry.file.size > maxBytes) return false
    if (!isPlainTime(metadata.time)) return false
    const attributes = planner.find(metadata.header)
    if (attributes === undefined) return false
    const place = locator.find(entry.file.digest)
    if (place?.type !== 'file' || place.size !== entry.file.size) return false
    const { digest } = entry.file
    const name = folder.work?.newName() ?? entry.name
    const fd = folder.work?.fd ?? folder.fd
    const { time } = metadata
    this.#builder.add({ folder: fd, name, digest, place, attributes, time })
    this.#waiting.push({ step, folder, path: pathIn(fd, name) })
    this.#folders.add(folder)
    folder.pending++
    return true
  }

  /** Whether it is time to flush. */
  get isFull(): boolean {
    const { isFull, bytes } = this.#builder
    return isFull || bytes >= batchBytes || this.#folders.size >= batchFolders
  }

  /** Has what was taken made; throws what went wrong with something that was made before. */
  async flush(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    const batch = this.#builder.take()
    this.#waiting = []
    this.#folders.clear()
    const { failed } = await this.#tools.crew.start(batch)
    const running = this.#finish(waiting, failed).catch((error: unknown) => {
      this.#failure ??= { error }
    })
    this.#running.add(running)
    void running.finally(() => this.#running.delete(running))
  }

  /** Waits until all that was taken is made. */
  async drain(): Promise<void> {
    await this.flush()
    while (this.#tools.crew.help()) await nextTurn()
    await Promise.all(this.#running)
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Waits for what is being made, and forgets the rest. */
  async abandon(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { folder } of waiting) this.#count(folder)
    await Promise.all(this.#running)
  }

  async #finish(
    waiting: readonly Waiting[],
    failing: Promise<readonly number[]>,
  ): Promise<void> {
    try {
      const failed = new Set(await failing)
      let bytes = 0
      for (const [at, one] of waiting.entries()) {
        if (failed.has(at) || one.step.entry.kind !== 'regular') continue
        this.#move(one)
        bytes += one.step.entry.file.size
      }
      this.#listener.made(waiting.length - failed.size, bytes)
      for (const at of failed) {
        const one = waiting[at]
        if (one === undefined) continue
        await this.#redo(one)
        this.#move(one)
      }
    } finally {
      for (const { folder } of waiting) this.#count(folder)
    }
  }

  async #redo({ step, folder, path }: Waiting): Promise<void> {
    const shown = () => pathInside(folder, step)
    await this.#listener.redo(path, {
      ...step,
      metadata: { ...step.metadata, path: shown },
    })
  }

  #move({ step, folder, path }: Waiting): void {
    if (folder.work === undefined) return
    try {
      replaceEntry(path, pathIn(folder.fd, step.entry.name), folder.work)
    } catch (error) {
      const shown = () => pathInside(folder, step)
      throw locatedError(writingError(error, shown), shown)
    }
  }

  #count(folder: FillingFolder): void {
    folder.pending--
    if (folder.pending > 0 || folder.metadata === undefined) return
    try {
      const { metadata } = this.#tools
      if (folder.work === undefined) metadata.finish(folder.fd, folder.metadata)
      else metadata.finishExisting(folder.fd, folder.metadata)
    } finally {
      closeSync(folder.fd)
    }
  }
}

function pathIn(folder: number, name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${folder}/`), name])
}

function pathInside({ path }: FillingFolder, { entry: { name } }: Step): Buffer {
  return path.length === 0 ? name : joinPath(path, name)
}
