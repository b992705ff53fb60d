import { InvalidObjectError } from '../errors.js'
import type { Algorithm } from '../object/algorithm.js'
import { applicationTotals, encodeApplication } from '../object/application.js'
import type { Descriptor, ObjectLink } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import {
  type DirectoryEntry,
  type DirectoryLink,
  encodeDirectory,
  totalsOf,
} from '../object/directory.js'
import type { DirectoryView } from '../object/directory-view.js'
import type { NewObject, ObjectReader, StoreSession } from '../store/object-store.js'
import { getApplication } from '../store/typed-object.js'
import { checkSize, checkType, TreeReader } from './tree-reader.js'

/** How far a rehash is: objects written or found, each once, and their bytes. */
export type RehashProgress = { readonly objects: number; readonly bytes: number }

/** How a rehash works. */
export type RehashOptions = {
  readonly algorithm: Algorithm
  readonly onProgress?: ((progress: RehashProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

const smallFileBytes = 512 * 1024
const batchBytes = 8 * 1024 * 1024

/**
 * Copies the closure of an application under another digest algorithm into a session.
 *
 * Children are committed before parents, each distinct object once; publishing and
 * tagging are the caller's. The extension stays but for the parents, which would name
 * applications of another algorithm. Throws ObjectNotFoundError, CorruptObjectError,
 * InvalidObjectError, and what the session throws.
 */
export async function rehashApplication(
  reader: ObjectReader,
  application: Digest,
  session: StoreSession,
  options: RehashOptions,
): Promise<Descriptor> {
  const source = await getApplication(reader, application)
  const { rootHeader, rootDirectory } = source
  const { parents: _, ...extension } = source.extension ?? {}
  const copy = new RehashRun(reader, session, options)
  const root = await copy.directory(rootDirectory)
  await copy.headers([rootHeader])
  const next = { rootHeader: copy.get(rootHeader), rootDirectory: root, extension }
  const payload = encodeApplication(next)
  const link = await copy.put({ type: 'application', payload })
  return { type: 'application', ...link, ...applicationTotals(next) }
}

type Frame = {
  readonly link: DirectoryLink
  readonly directory: DirectoryView
  index: number
}

class RehashRun {
  readonly #reader: ObjectReader
  readonly #tree: TreeReader
  readonly #session: StoreSession
  readonly #options: RehashOptions
  readonly #links = new Map<Digest, ObjectLink>()
  readonly #directories = new Map<Digest, DirectoryLink>()
  #bytes = 0

  constructor(reader: ObjectReader, session: StoreSession, options: RehashOptions) {
    this.#reader = reader
    this.#tree = new TreeReader(reader, { strictness: 'strict' })
    this.#session = session
    this.#options = options
  }

  /** The copy of an object that was copied before. */
  get(link: ObjectLink): ObjectLink {
    const copy = this.#links.get(link.digest)
    if (copy === undefined) throw new Error(`${link.digest} was not copied yet`)
    // Another link to it may have lied about the size.
    checkSize(link, copy.size)
    return copy
  }

  async put(object: NewObject): Promise<ObjectLink> {
    const { algorithm } = this.#options
    const [link] = await this.#session.put([{ ...object, algorithm }])
    if (link === undefined) throw new Error('a session answered for no object')
    return link
  }

  /** Copies a directory and all below it, without recursion. */
  async directory(root: DirectoryLink): Promise<DirectoryLink> {
    const frames = [await this.#open(root)]
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      this.#options.signal?.throwIfAborted()
      const entry = frame.directory.at(frame.index)
      if (entry?.kind === 'directory') {
        frame.index++
        if (!this.#directories.has(entry.directory.digest)) {
          frames.push(await this.#open(entry.directory))
        }
      } else {
        await this.#close(frame)
        frames.pop()
      }
    }
    return this.#copyOfDirectory(root)
  }

  /** Copies headers that were not copied yet. */
  async headers(links: readonly ObjectLink[]): Promise<void> {
    const missing = this.#missing(links)
    if (missing.length === 0) return
    // Read as headers, so that what is none is refused; the bytes stay as they are.
    await this.#tree.headers(missing)
    await this.#copyWhole(missing, 'header')
  }

  async #open(link: DirectoryLink): Promise<Frame> {
    const directory = await this.#tree.directory(link)
    const { subObjectCount, subObjectsSize } = totalsOf(directory)
    if (
      subObjectCount !== link.subObjectCount ||
      subObjectsSize !== link.subObjectsSize
    ) {
      throw new InvalidObjectError(`a link lies about the totals of ${link.digest}`, {
        digest: link.digest,
      })
    }
    return { link, directory, index: 0 }
  }

  async #close({ link, directory }: Frame): Promise<void> {
    await this.headers(Array.from(directory, entry => entry.header))
    await this.#files(directory)
    const copied = Array.from(directory, entry => this.#copyOf(entry))
    const copy = await this.put({ type: 'directory', payload: encodeDirectory(copied) })
    this.#directories.set(link.digest, { ...copy, ...totalsOf(copied) })
    this.#bytes += copy.size
    this.#report()
  }

  #copyOf(entry: DirectoryEntry): DirectoryEntry {
    const header = this.get(entry.header)
    if (entry.kind === 'regular') return { ...entry, header, file: this.get(entry.file) }
    if (entry.kind !== 'directory') return { ...entry, header }
    return { ...entry, header, directory: this.#copyOfDirectory(entry.directory) }
  }

  // Its size differs from the original's where the digests have another length.
  #copyOfDirectory(link: DirectoryLink): DirectoryLink {
    const copy = this.#directories.get(link.digest)
    if (copy === undefined) throw new Error(`${link.digest} was not copied yet`)
    return copy
  }

  async #files(directory: DirectoryView): Promise<void> {
    const links: ObjectLink[] = []
    for (const entry of directory) if (entry.kind === 'regular') links.push(entry.file)
    let batch: ObjectLink[] = []
    let bytes = 0
    for (const link of this.#missing(links)) {
      if (link.size > smallFileBytes) {
        await this.#stream(link)
        continue
      }
      if (bytes + link.size > batchBytes) {
        await this.#copyWhole(batch, 'file')
        batch = []
        bytes = 0
      }
      batch.push(link)
      bytes += link.size
    }
    await this.#copyWhole(batch, 'file')
  }

  async #copyWhole(links: readonly ObjectLink[], type: 'file' | 'header'): Promise<void> {
    if (links.length === 0) return
    this.#options.signal?.throwIfAborted()
    const { algorithm } = this.#options
    const objects = await this.#reader.read(links.map(link => link.digest))
    const batch = links.map((link, at): NewObject => {
      const object = objects[at]
      if (object === undefined) throw new Error('a reader answered for no object')
      checkType(link.digest, object.type, type)
      checkSize(link, object.size)
      return { type, payload: object.payload, algorithm }
    })
    const copies = await this.#session.put(batch)
    for (const [at, link] of links.entries()) {
      const copy = copies[at]
      if (copy === undefined) throw new Error('a session answered for no object')
      this.#keep(link, copy)
    }
    this.#report()
  }

  async #stream(link: ObjectLink): Promise<void> {
    const { algorithm, signal } = this.#options
    await using stream = await this.#reader.open(link.digest)
    checkType(link.digest, stream.type, 'file')
    checkSize(link, stream.size)
    await using writer = await this.#session.stream({ type: 'file', algorithm })
    for await (const chunk of stream) {
      signal?.throwIfAborted()
      await writer.write(chunk)
    }
    this.#keep(link, await writer.commit())
    this.#report()
  }

  #missing(links: readonly ObjectLink[]): ObjectLink[] {
    const missing = new Map<Digest, ObjectLink>()
    for (const link of links) {
      if (!this.#links.has(link.digest)) missing.set(link.digest, link)
    }
    return [...missing.values()]
  }

  #keep(link: ObjectLink, copy: ObjectLink): void {
    this.#links.set(link.digest, copy)
    this.#bytes += copy.size
  }

  #report(): void {
    const objects = this.#links.size + this.#directories.size
    this.#options.onProgress?.({ objects, bytes: this.#bytes })
  }
}
