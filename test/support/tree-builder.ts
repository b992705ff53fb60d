import { type Algorithm, findAlgorithmByName } from '../../lib/object/algorithm.js'
import type { ApplicationExtension } from '../../lib/object/application-extension.js'
import type { Descriptor, ObjectLink } from '../../lib/object/descriptor.js'
import {
  compareEntries,
  type DirectoryEntry,
  type DirectoryLink,
} from '../../lib/object/directory.js'
import { type EntryKind, modeOf } from '../../lib/object/file-mode.js'
import type { Header, Xattr } from '../../lib/object/header.js'
import { MemoryStore } from '../../lib/store/memory-store.js'
import type { StoreSession } from '../../lib/store/object-store.js'
import { putApplication, putDirectory, putHeader } from '../../lib/store/typed-object.js'

/** What a test says of one entry; the rest is as most entries are. */
export type EntryFacts = {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly rdev?: number
  readonly xattrs?: readonly Xattr[]
}

type DirectoryKind = DirectoryEntry & { readonly kind: 'directory' }

/** Makes trees of any shape, also such as no filesystem could hold, in a memory store. */
export class TreeBuilder implements AsyncDisposable {
  readonly store: MemoryStore
  readonly #session: StoreSession

  private constructor(store: MemoryStore, session: StoreSession) {
    this.store = store
    this.#session = session
  }

  static async open(algorithmName = 'blake3'): Promise<TreeBuilder> {
    const store = new MemoryStore()
    const algorithm = algorithmNamed(algorithmName)
    const options = { algorithm, folder: '/nonexistent', publishing: 'gradual' } as const
    return new TreeBuilder(store, await store.begin(options))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]()
  }

  async header(kind: EntryKind, facts: EntryFacts = {}): Promise<ObjectLink> {
    const permissions = facts.mode ?? (kind === 'directory' ? 0o755 : 0o644)
    const header: Header = {
      mode: modeOf(kind, permissions),
      rdev: facts.rdev ?? 0,
      uid: facts.uid ?? process.getuid?.() ?? 0,
      gid: facts.gid ?? process.getgid?.() ?? 0,
      xattrs: facts.xattrs ?? [],
    }
    return putHeader(this.#session, header)
  }

  async put(type: 'file' | 'directory', payload: Uint8Array): Promise<ObjectLink> {
    const [link] = await this.#session.put([{ type, payload }])
    if (link === undefined) throw new Error('nothing was put')
    return link
  }

  async file(
    name: string | Buffer,
    content: string | Uint8Array,
    facts: EntryFacts = {},
  ): Promise<DirectoryEntry> {
    const header = await this.header('regular', facts)
    const file = await this.put('file', Buffer.from(content))
    return { kind: 'regular', name: Buffer.from(name), header, file }
  }

  async symlink(
    name: string,
    target: string | Buffer,
    facts: EntryFacts = {},
  ): Promise<DirectoryEntry> {
    const header = await this.header('symlink', { mode: 0o777, ...facts })
    return {
      kind: 'symlink',
      name: Buffer.from(name),
      header,
      target: Buffer.from(target),
    }
  }

  async special(
    name: string,
    kind: 'block-device' | 'char-device' | 'fifo' | 'socket',
    facts: EntryFacts & { readonly unknown?: boolean } = {},
  ): Promise<DirectoryEntry> {
    const header = await this.header(kind, facts)
    return {
      kind: facts.unknown === true ? 'unknown' : kind,
      name: Buffer.from(name),
      header,
    }
  }

  /** Puts a folder, its entries in stored order. */
  async folder(
    name: string | Buffer,
    entries: readonly DirectoryEntry[],
    facts: EntryFacts = {},
  ): Promise<DirectoryKind> {
    const header = await this.header('directory', facts)
    const directory = await putDirectory(this.#session, entries.toSorted(compareEntries))
    return { kind: 'directory', name: Buffer.from(name), header, directory }
  }

  /** Puts an application over a folder and publishes everything. */
  async application(
    root: { readonly header: ObjectLink; readonly directory: DirectoryLink },
    extension: ApplicationExtension = {},
  ): Promise<Descriptor> {
    const descriptor = await putApplication(this.#session, {
      rootHeader: root.header,
      rootDirectory: root.directory,
      extension,
    })
    await this.#session.publish([descriptor.digest])
    return descriptor
  }

  /** Puts an application over a root folder with these entries. */
  async tree(
    entries: readonly DirectoryEntry[],
    extension: ApplicationExtension = {},
  ): Promise<Descriptor> {
    return this.application(await this.folder('', entries), extension)
  }
}

/** Finds an algorithm that there must be. */
export function algorithmNamed(name: string): Algorithm {
  const algorithm = findAlgorithmByName(name)
  if (algorithm === undefined) throw new Error(`no algorithm ${name}`)
  return algorithm
}
