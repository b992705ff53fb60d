import { closeSync } from 'node:fs'
import type { DirectoryEntry } from '../../object/directory.js'
import type { PayloadLocator } from '../../store/object-store.js'
import { joinPath } from '../../system/directory-descent.js'
import type { BatchCrew } from './batch-crew.js'
import type { AttributePlanner } from './file-attributes.js'
import { BatchBuilder, isPlainTime } from './file-batch.js'
import type { EntryMetadata, MetadataWriter } from './metadata-writer.js'

/** An entry of the walk that is to be made. */
export type Step = {
  readonly entry: DirectoryEntry
  readonly ordinal: number
  readonly metadata: EntryMetadata
}

/** A folder that was made and gets files. */
export type FillingFolder = {
  readonly fd: number
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

const batchFiles = 256
const batchBytes = 4 * 1024 * 1024
// Folders stay open until their files are made.
const batchFolders = 64

type Waiting = { readonly step: Step; readonly folder: FillingFolder }

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
    const { fd } = folder
    const { name, file } = entry
    const { time } = metadata
    this.#builder.add({
      folder: fd,
      name,
      digest: file.digest,
      place,
      attributes,
      time,
    })
    this.#waiting.push({ step, folder })
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
      for (const [at, { step }] of waiting.entries()) {
        if (failed.has(at) || step.entry.kind !== 'regular') continue
        bytes += step.entry.file.size
      }
      this.#listener.made(waiting.length - failed.size, bytes)
      for (const at of failed) {
        const one = waiting[at]
        if (one !== undefined) await this.#redo(one)
      }
    } finally {
      for (const { folder } of waiting) this.#count(folder)
    }
  }

  async #redo({ step, folder }: Waiting): Promise<void> {
    const { name } = step.entry
    const at = Buffer.concat([Buffer.from(`/proc/self/fd/${folder.fd}/`), name])
    const path = () => (folder.path.length === 0 ? name : joinPath(folder.path, name))
    await this.#listener.redo(at, { ...step, metadata: { ...step.metadata, path } })
  }

  #count(folder: FillingFolder): void {
    folder.pending--
    if (folder.pending > 0 || folder.metadata === undefined) return
    try {
      this.#tools.metadata.finish(folder.fd, folder.metadata)
    } finally {
      closeSync(folder.fd)
    }
  }
}
