import { type Algorithm, findAlgorithmByName } from '../../lib/object/algorithm.js'
import { applicationTotals, encodeApplication } from '../../lib/object/application.js'
import type { ApplicationExtension } from '../../lib/object/application-extension.js'
import type {
  Descriptor,
  ObjectLink,
  SubObjectTotals,
} from '../../lib/object/descriptor.js'
import {
  compareEntries,
  type DirectoryEntry,
  type DirectoryLink,
  encodeDirectory,
  totalsOf,
} from '../../lib/object/directory.js'
import { type EntryKind, modeOf } from '../../lib/object/file-mode.js'
import { encodeHeader, type Xattr } from '../../lib/object/header.js'
import { LenientStore } from './lenient-store.js'

/** What a test says of one entry; the rest is as most entries are. */
export type EntryFacts = {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly rdev?: number
  readonly xattrs?: readonly Xattr[]
}

/** An entry that is a file, and one that is a folder. */
export type FileEntry = DirectoryEntry & { readonly kind: 'regular' }
export type FolderEntry = DirectoryEntry & { readonly kind: 'directory' }

/** Makes trees of any shape, also such as no filesystem could hold and no store would take. */
export class TreeBuilder {
  readonly store = new LenientStore()
  readonly #algorithm: Algorithm

  constructor(algorithmName = 'blake3') {
    this.#algorithm = algorithmNamed(algorithmName)
  }

  header(kind: EntryKind, facts: EntryFacts = {}): ObjectLink {
    const permissions = facts.mode ?? (kind === 'directory' ? 0o755 : 0o644)
    const payload = encodeHeader({
      mode: modeOf(kind, permissions),
      rdev: facts.rdev ?? 0,
      uid: facts.uid ?? process.getuid?.() ?? 0,
      gid: facts.gid ?? process.getgid?.() ?? 0,
      xattrs: facts.xattrs ?? [],
    })
    return this.store.add(this.#algorithm, 'header', payload)
  }

  file(
    name: string | Buffer,
    content: string | Uint8Array,
    facts: EntryFacts = {},
  ): FileEntry {
    const header = this.header('regular', facts)
    const file = this.store.add(this.#algorithm, 'file', Buffer.from(content))
    return { kind: 'regular', name: Buffer.from(name), header, file }
  }

  symlink(name: string, target: string | Buffer, facts: EntryFacts = {}): DirectoryEntry {
    const header = this.header('symlink', { mode: 0o777, ...facts })
    return {
      kind: 'symlink',
      name: Buffer.from(name),
      header,
      target: Buffer.from(target),
    }
  }

  special(
    name: string,
    kind: 'block-device' | 'char-device' | 'fifo' | 'socket',
    facts: EntryFacts & { readonly unknown?: boolean } = {},
  ): DirectoryEntry {
    const header = this.header(kind, facts)
    const written = facts.unknown === true ? 'unknown' : kind
    return { kind: written, name: Buffer.from(name), header }
  }

  /** Makes a folder, its entries in stored order. */
  folder(
    name: string | Buffer,
    entries: readonly DirectoryEntry[],
    facts: EntryFacts = {},
  ): FolderEntry {
    const sorted = entries.toSorted(compareEntries)
    return {
      kind: 'directory',
      name: Buffer.from(name),
      header: this.header('directory', facts),
      directory: this.#directory(encodeDirectory(sorted), totalsOf(sorted)),
    }
  }

  /** Makes a folder of any bytes, whose link claims these totals. */
  rawFolder(
    name: string,
    payload: Uint8Array,
    totals: SubObjectTotals = { subObjectCount: 0, subObjectsSize: 0n },
  ): FolderEntry {
    const header = this.header('directory')
    const directory = this.#directory(payload, totals)
    return { kind: 'directory', name: Buffer.from(name), header, directory }
  }

  /** Makes an application over a folder. */
  application(root: FolderEntry, extension: ApplicationExtension = {}): Descriptor {
    const application = {
      rootHeader: root.header,
      rootDirectory: root.directory,
      extension,
    }
    const payload = encodeApplication(application)
    const link = this.store.add(this.#algorithm, 'application', payload)
    return { type: 'application', ...link, ...applicationTotals(application) }
  }

  /** Makes an application over a root folder with these entries. */
  tree(
    entries: readonly DirectoryEntry[],
    extension: ApplicationExtension = {},
  ): Descriptor {
    return this.application(this.folder('', entries), extension)
  }

  #directory(payload: Uint8Array, totals: SubObjectTotals): DirectoryLink {
    return { ...this.store.add(this.#algorithm, 'directory', payload), ...totals }
  }
}

/** Finds an algorithm that there must be. */
export function algorithmNamed(name: string): Algorithm {
  const algorithm = findAlgorithmByName(name)
  if (algorithm === undefined) throw new Error(`no algorithm ${name}`)
  return algorithm
}
