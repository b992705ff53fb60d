import { setImmediate as nextTurn } from 'node:timers/promises'
import type { NewObject, StoreSession } from '../../../store/object-store.js'
import { FileState } from '../../../system/direct-calls.js'
import type { DirectoryDescent, KeptFolder } from '../../../system/directory-descent.js'
import type { Slot } from '../pending-directory.js'
import type { SourceFolder } from '../source-place.js'
import { FileBatch } from './file-batch.js'
import { type BatchDigests, ReadingCrew } from './reading-crew.js'

// A thread starts in some 50 ms: so much to read promises work beyond that.
const worthwhileFiles = 200
const worthwhileBytes = 1024 * 1024
// Open folders of one load; some four loads are under way.
const maxFolders = 64

/** A file whose content is to be read. */
export type AwaitedFile = {
  readonly name: Buffer
  /** In the state in which it was seen. */
  readonly size: number
  /** Gets the content's link. */
  readonly file: Slot
}

/** Who is told what became of files. */
export type FileTaker<File> = {
  /** The content is stored; `state` is that in which the file was seen. */
  readonly onStored: (file: File, state: FileState) => void
  /** The file needs care; `path` leads to it until the promise is settled. */
  readonly onLeftAlone: (file: File, path: Buffer) => Promise<void>
}

/** A batch, what its files are, and the open folders in which they are. */
type Load<File> = {
  readonly batch: FileBatch
  readonly files: File[]
  readonly folderOf: KeptFolder[]
  readonly folders: KeptFolder[]
}

/**
 * Reads files and stores their contents beside a walk, in threads where there is much to
 * read. Files are stored in any order, each soon after it was added.
 *
 * Disposing waits for the threads; what is not stored by then is dropped.
 */
export class FilesAhead<File extends AwaitedFile> implements AsyncDisposable {
  readonly #session: StoreSession
  readonly #descent: DirectoryDescent
  readonly #taker: FileTaker<File>
  readonly #crew: ReadingCrew
  readonly #state = new FileState()
  readonly #emptied: FileBatch[] = []
  readonly #loads = new Set<Load<File>>()
  readonly #read: { readonly load: Load<File>; readonly digests: BatchDigests }[] = []
  readonly #underWay = new Set<Promise<void>>()
  #load: Load<File>
  #lastFolder: SourceFolder | undefined
  #isAwake = false
  #failure: { readonly cause: unknown } | undefined

  private constructor(
    session: StoreSession,
    descent: DirectoryDescent,
    taker: FileTaker<File>,
    crew: ReadingCrew,
  ) {
    this.#session = session
    this.#descent = descent
    this.#taker = taker
    this.#crew = crew
    this.#load = this.#nextLoad()
  }

  /** Makes one; undefined where the platform has no calls for it. */
  static find<File extends AwaitedFile>(
    session: StoreSession,
    descent: DirectoryDescent,
    taker: FileTaker<File>,
  ): FilesAhead<File> | undefined {
    const crew = descent.canKeep ? ReadingCrew.find(session.algorithm) : undefined
    return crew && new FilesAhead(session, descent, taker, crew)
  }

  /** Whether it is time to send what was added. */
  get isFull(): boolean {
    const { batch, folders } = this.#load
    return batch.isFull || folders.length >= maxFolders
  }

  /**
   * Adds a file of the innermost folder, of at most maxWholeFileBytes, in the state in
   * which it was seen; when it was full, what was added must have been sent.
   *
   * @param folder - the innermost folder
   */
  add(folder: SourceFolder, file: File, state: FileState): void {
    const { batch, files, folders, folderOf } = this.#load
    if (this.#lastFolder !== folder || folders.length === 0) {
      folders.push(this.#descent.keep())
      this.#lastFolder = folder
    }
    const kept = folders.at(-1)
    if (kept === undefined) throw new Error('no folder was kept')
    batch.add(kept.fd, file.name, state)
    files.push(file)
    folderOf.push(kept)
    if (this.#isAwake) return
    if (batch.count < worthwhileFiles && batch.bytes < worthwhileBytes) return
    this.#isAwake = true
    this.#crew.wake()
  }

  /** Has the files read that were added, and stores what was read meanwhile. */
  async send(): Promise<void> {
    const load = this.#load
    this.#load = this.#nextLoad()
    const digests = this.#crew.read(load.batch)
    if (digests instanceof Promise) this.#await(load, digests)
    else this.#read.push({ load, digests })
    // The threads' answers come in between.
    await nextTurn()
    await this.#storeRead()
  }

  /** Stores all that was added. */
  async finish(): Promise<void> {
    const load = this.#load
    this.#load = this.#nextLoad()
    this.#read.push({ load, digests: this.#crew.readHere(load.batch) })
    await this.#storeRead()
    while (this.#underWay.size > 0) {
      await Promise.race(this.#underWay)
      await this.#storeRead()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The threads may still use the folders.
    await this.#crew[Symbol.asyncDispose]()
    for (const { folders } of this.#loads) closeAll(folders)
    this.#loads.clear()
  }

  #await(load: Load<File>, digests: Promise<BatchDigests>): void {
    const underWay = digests
      .then(
        found => void this.#read.push({ load, digests: found }),
        (cause: unknown) => {
          this.#failure ??= { cause }
        },
      )
      .finally(() => this.#underWay.delete(underWay))
    this.#underWay.add(underWay)
  }

  async #storeRead(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.cause
    for (let next = this.#read.shift(); next; next = this.#read.shift()) {
      await this.#storeLoad(next.load, next.digests)
      this.#loads.delete(next.load)
      closeAll(next.load.folders)
      next.load.batch.clear()
      this.#emptied.push(next.load.batch)
    }
  }

  async #storeLoad({ batch, files, folderOf }: Load<File>, digests: BatchDigests) {
    const objects: NewObject[] = []
    const stored: number[] = []
    for (const [index, digest] of digests.entries()) {
      const size = files[index]?.size
      if (digest === undefined || size === undefined) continue
      objects.push({ type: 'file', payload: batch.payload(index, size), digest })
      stored.push(index)
    }
    const links = await this.#session.put(objects)
    for (const [at, index] of stored.entries()) {
      const file = files[index]
      if (file === undefined) continue
      file.file.link = links[at]
      batch.loadState(index, this.#state)
      this.#taker.onStored(file, this.#state)
    }
    for (const [index, file] of files.entries()) {
      const path = digests[index] === undefined && folderOf[index]?.path(file.name)
      if (path) await this.#taker.onLeftAlone(file, path)
    }
  }

  #nextLoad(): Load<File> {
    this.#lastFolder = undefined
    const batch = this.#emptied.pop() ?? new FileBatch()
    const load: Load<File> = { batch, files: [], folderOf: [], folders: [] }
    this.#loads.add(load)
    return load
  }
}

function closeAll(folders: readonly KeptFolder[]): void {
  for (const folder of folders) folder[Symbol.dispose]()
}
