import {
  InvalidObjectError,
  ObjectNotFoundError,
  WrongObjectTypeError,
} from '../errors.js'
import type { ObjectLink } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'
import { DirectoryView } from '../object/directory-view.js'
import { decodeHeader, type Header } from '../object/header.js'
import type { ObjectType } from '../object/object-type.js'
import type { Strictness } from '../object/strictness.js'
import type { ObjectReader } from '../store/object-store.js'

const cachedDirectoryBytes = 2 * 1024 * 1024
const cachedHeaders = 65_536

/**
 * Reads the directories and headers of trees in batches, and keeps some of them.
 *
 * What is read must have the size that its link names. Memory is bounded; what does not
 * fit is read again.
 */
export class TreeReader {
  readonly objects: ObjectReader
  readonly #strictness: Strictness
  readonly #directories = new Map<Digest, { directory: DirectoryView; bytes: number }>()
  readonly #headers = new Map<Digest, Header>()
  #directoryBytes = 0

  constructor(objects: ObjectReader, { strictness }: { strictness: Strictness }) {
    this.objects = objects
    this.#strictness = strictness
  }

  /** Reads a directory; throws as ObjectReader.read does, and InvalidObjectError. */
  async directory(link: ObjectLink): Promise<DirectoryView> {
    const known = this.#directories.get(link.digest)
    if (known !== undefined) {
      checkSize(link, known.bytes)
      return known.directory
    }
    const [directory] = await this.directories([link])
    if (directory === undefined) throw notFound(link)
    return directory
  }

  /** Reads directories in order, without looking at what is kept. */
  async directories(links: readonly ObjectLink[]): Promise<readonly DirectoryView[]> {
    const payloads = await this.#read(links, 'directory')
    return payloads.map((payload, at) => {
      const { digest } = links[at] ?? {}
      const decode = () => new DirectoryView(payload, this.#strictness)
      const directory = naming(digest, decode)
      if (digest !== undefined) this.#keepDirectory(digest, directory, payload.length)
      return directory
    })
  }

  /** Reads headers, in order. */
  async headers(links: readonly ObjectLink[]): Promise<readonly Header[]> {
    const missing = new Map<Digest, ObjectLink>()
    const known: Header[] = []
    for (const link of links) {
      const header = this.#headers.get(link.digest)
      if (header === undefined) missing.set(link.digest, link)
      else known.push(header)
    }
    if (missing.size === 0) return known
    const found = new Map<Digest, Header>()
    const wanted = [...missing.values()]
    const payloads = await this.#read(wanted, 'header')
    wanted.forEach(({ digest }, at) => {
      const payload = payloads[at]
      if (payload === undefined) return
      const decode = () => decodeHeader(payload, this.#strictness)
      found.set(digest, naming(digest, decode))
    })
    const headers = links.map(link => {
      const header = this.#headers.get(link.digest) ?? found.get(link.digest)
      if (header === undefined) throw notFound(link)
      return header
    })
    if (this.#headers.size + found.size > cachedHeaders) this.#headers.clear()
    for (const [digest, header] of found) this.#headers.set(digest, header)
    return headers
  }

  /** Reads one header. */
  async header(link: ObjectLink): Promise<Header> {
    const [header] = await this.headers([link])
    if (header === undefined) throw notFound(link)
    return header
  }

  async #read(links: readonly ObjectLink[], type: ObjectType): Promise<Buffer[]> {
    const objects = await this.objects.read(links.map(link => link.digest))
    return links.map((link, at) => {
      const object = objects[at]
      if (object === undefined) throw notFound(link)
      checkType(link.digest, object.type, type)
      checkSize(link, object.size)
      return object.payload
    })
  }

  #keepDirectory(digest: Digest, directory: DirectoryView, bytes: number): void {
    if (this.#directories.has(digest) || bytes > cachedDirectoryBytes / 4) return
    this.#directories.set(digest, { directory, bytes })
    this.#directoryBytes += bytes
    for (const [oldest, kept] of this.#directories) {
      if (this.#directoryBytes <= cachedDirectoryBytes) break
      this.#directories.delete(oldest)
      this.#directoryBytes -= kept.bytes
    }
  }
}

/** Throws WrongObjectTypeError unless an object is what a link expects. */
export function checkType(digest: Digest, found: ObjectType, expected: ObjectType): void {
  if (found === expected) return
  throw new WrongObjectTypeError(
    `object ${digest} has another type: expected ${expected}, found ${found}`,
    { digest, expected, found },
  )
}

/** Throws InvalidObjectError unless an object has the size that its link names. */
export function checkSize(link: ObjectLink, found: number): void {
  if (link.size === found) return
  throw new InvalidObjectError(
    `a link lies about the size of ${link.digest}: expected ${link.size}, found ${found}`,
    { digest: link.digest, expected: link.size, found },
  )
}

// Whoever asked for a batch learns from the digest which object was invalid.
function naming<T>(digest: Digest | undefined, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (!(error instanceof InvalidObjectError)) throw error
    const facts = { ...error.facts, digest }
    throw new InvalidObjectError(`${digest}: ${error.message}`, facts, { cause: error })
  }
}

function notFound(link: ObjectLink): ObjectNotFoundError {
  return new ObjectNotFoundError(`no object ${link.digest}`, { digest: link.digest })
}
