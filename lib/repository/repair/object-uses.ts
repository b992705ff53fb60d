import { CairnError } from '../../errors.js'
import { decodeApplication } from '../../object/application.js'
import type { Digest } from '../../object/digest.js'
import { decodeDirectory } from '../../object/directory.js'
import { escapeBytes } from '../../object/escape.js'
import type { ObjectReader } from '../../store/object-store.js'
import type { MountSet } from '../mount-set.js'
import { listRoots, rootDigest } from '../roots.js'
import type { TagStore } from '../tag-store.js'

/** Where an object is needed. */
export type ObjectUse = {
  readonly kind: 'tag' | 'log' | 'mount'
  /** The tag's name; of a mount, its digest. */
  readonly name: string
  /** Of the log entry. */
  readonly sequence?: bigint
  /** The first path that leads to it, escaped; empty for the application itself. */
  readonly path: string
}

/** The rooms that are looked through. */
export type UsingRooms = {
  readonly tags: TagStore
  readonly mounts: MountSet
  readonly objects: ObjectReader
}

// Uses told of each object.
const maxUses = 10

/** Tells which tags, log entries and mounts need objects, and at what path. */
export async function findUses(
  rooms: UsingRooms,
  wanted: ReadonlySet<Digest>,
): Promise<ReadonlyMap<Digest, readonly ObjectUse[]>> {
  const uses = new Map<Digest, ObjectUse[]>()
  if (wanted.size === 0) return uses
  const search = new PathSearch(rooms.objects, wanted)
  try {
    for await (const root of listRoots(rooms.tags, rooms.mounts)) {
      for (const [digest, path] of await search.below(rootDigest(root))) {
        const known = uses.get(digest) ?? []
        uses.set(digest, known)
        if (known.length >= maxUses) continue
        const { kind } = root
        known.push(
          root.kind === 'mount'
            ? { kind, name: root.digest, path }
            : {
                kind,
                name: root.name,
                ...(root.kind === 'log' ? { sequence: root.sequence } : {}),
                path,
              },
        )
      }
    }
  } catch (error) {
    // A tag or a log that cannot be read: it is told by itself.
    if (!(error instanceof CairnError)) throw error
  }
  return uses
}

type Paths = ReadonlyMap<Digest, string>
type Child = { readonly digest: Digest; readonly name: string; readonly isInner: boolean }
type Frame = {
  readonly digest: Digest
  readonly children: readonly Child[]
  next: number
  readonly found: Map<Digest, string>
}

const nothing: Paths = new Map()

/** Finds the first path to each wanted object; every directory is read once. */
class PathSearch {
  readonly #objects: ObjectReader
  readonly #wanted: ReadonlySet<Digest>
  readonly #known = new Map<Digest, Paths>()

  constructor(objects: ObjectReader, wanted: ReadonlySet<Digest>) {
    this.#objects = objects
    this.#wanted = wanted
  }

  async below(root: Digest): Promise<Paths> {
    if (this.#wanted.has(root)) return new Map([[root, '']])
    const stack: Frame[] = []
    const enter = async (digest: Digest): Promise<void> => {
      const children = await this.#childrenOf(digest)
      stack.push({ digest, children, next: 0, found: new Map() })
    }
    if (!this.#known.has(root)) await enter(root)
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const child = frame.children[frame.next]
      if (child === undefined) {
        this.#known.set(frame.digest, frame.found.size === 0 ? nothing : frame.found)
        stack.pop()
        continue
      }
      if (this.#wanted.has(child.digest)) note(frame.found, child.digest, child.name)
      else if (child.isInner) {
        const known = this.#known.get(child.digest)
        if (known === undefined) {
          await enter(child.digest)
          continue
        }
        for (const [digest, path] of known) {
          note(frame.found, digest, join(child.name, path))
        }
      }
      frame.next += 1
    }
    return this.#known.get(root) ?? nothing
  }

  async #childrenOf(digest: Digest): Promise<Child[]> {
    try {
      const [object] = await this.#objects.read([digest])
      if (object?.type === 'application') {
        const { rootHeader, rootDirectory } = decodeApplication(
          object.payload,
          'tolerant',
        )
        return [
          { digest: rootHeader.digest, name: '', isInner: false },
          { digest: rootDirectory.digest, name: '', isInner: true },
        ]
      }
      if (object?.type !== 'directory') return []
      return decodeDirectory(object.payload, 'tolerant').flatMap(entry => {
        const name = escapeBytes(entry.name)
        const header = { digest: entry.header.digest, name, isInner: false }
        if (entry.kind === 'regular') {
          return [header, { digest: entry.file.digest, name, isInner: false }]
        }
        if (entry.kind !== 'directory') return [header]
        return [header, { digest: entry.directory.digest, name, isInner: true }]
      })
    } catch (error) {
      if (error instanceof CairnError) return []
      throw error
    }
  }
}

function note(found: Map<Digest, string>, digest: Digest, path: string): void {
  if (!found.has(digest)) found.set(digest, path)
}

function join(name: string, path: string): string {
  return name === '' || path === '' ? `${name}${path}` : `${name}/${path}`
}
