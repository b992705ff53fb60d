import type { ObjectLink } from '../../lib/object/descriptor.js'
import {
  type Descriptor,
  leafDescriptor,
  noSubObjects,
} from '../../lib/object/descriptor.js'
import {
  type Directory,
  type DirectoryEntry,
  type DirectoryLink,
  directoryDescriptor,
} from '../../lib/object/directory.js'
import { fileMode } from '../../lib/object/file-mode.js'
import type { StoreSession } from '../../lib/store/object-store.js'
import { putApplication, putDirectory, putHeader } from '../../lib/store/typed-object.js'

/** A small tree in a session: some references name the same object. */
export type SampleTree = {
  readonly application: Descriptor
  /** Every distinct object, children before parents. */
  readonly objects: readonly Descriptor[]
}

/** Commits an application with folders, files that share content, and a symlink. */
export async function putSampleTree(
  session: StoreSession,
  { content = 'sample' }: { content?: string } = {},
): Promise<SampleTree> {
  const fileHeader = await putHeader(session, plainHeader(0o644))
  const folderHeader = await putHeader(session, plainHeader(fileMode.directory | 0o755))
  const one = await putFile(session, `${content} one`)
  const two = await putFile(session, `${content} two`)
  const empty = await putDirectory(session, [])
  const inner = await putDirectory(session, [
    { kind: 'regular', name: Buffer.from('a'), header: fileHeader, file: one },
    { kind: 'regular', name: Buffer.from('b'), header: fileHeader, file: two },
    {
      kind: 'symlink',
      name: Buffer.from('link'),
      header: fileHeader,
      target: Buffer.from('a'),
    },
  ])
  const folder = (name: string, directory: DirectoryLink): DirectoryEntry => ({
    kind: 'directory',
    name: Buffer.from(name),
    header: folderHeader,
    directory,
  })
  const root = await putDirectory(session, [
    folder('empty', empty),
    folder('first', inner),
    folder('second', inner),
    { kind: 'regular', name: Buffer.from('copy'), header: fileHeader, file: one },
  ])
  const application = await putApplication(session, {
    rootHeader: folderHeader,
    rootDirectory: root,
  })
  return {
    application,
    objects: [
      leafDescriptor('header', fileHeader),
      leafDescriptor('header', folderHeader),
      leafDescriptor('file', one),
      leafDescriptor('file', two),
      directoryDescriptor(empty),
      directoryDescriptor(inner),
      directoryDescriptor(root),
      application,
    ],
  }
}

/**
 * Commits directories of which each names the next one twice, the last one empty, with
 * totals that claim nothing lies below: `levels` of them name 2^levels paths.
 *
 * Returns the outermost.
 */
export async function putDoublingTree(
  session: StoreSession,
  levels: number,
): Promise<DirectoryLink> {
  const header = await putHeader(session, plainHeader(fileMode.directory | 0o755))
  let inner = await putDirectory(session, [])
  for (let level = 0; level < levels; level++) {
    const directory = { ...inner, ...noSubObjects }
    const entries: Directory = ['a', 'b'].map(name => ({
      kind: 'directory',
      name: Buffer.from(name),
      header,
      directory,
    }))
    inner = await putDirectory(session, entries)
  }
  return inner
}

/** Commits directories nested in one another; returns the outermost. */
export async function putNestedTree(
  session: StoreSession,
  levels: number,
): Promise<DirectoryLink> {
  const header = await putHeader(session, plainHeader(fileMode.directory | 0o755))
  let inner = await putDirectory(session, [])
  for (let level = 0; level < levels; level++) {
    const name = Buffer.from('d')
    inner = await putDirectory(session, [
      { kind: 'directory', name, header, directory: inner },
    ])
  }
  return inner
}

/** Commits a file. */
export async function putFile(
  session: StoreSession,
  content: string | Uint8Array,
): Promise<ObjectLink> {
  const [link] = await session.put([{ type: 'file', payload: Buffer.from(content) }])
  if (link === undefined) throw new Error('a session answered for no object')
  return link
}

/** A header without owner, device number or attributes. */
export function plainHeader(mode: number) {
  return { mode: mode >>> 0, rdev: 0, uid: 0, gid: 0, xattrs: [] }
}
