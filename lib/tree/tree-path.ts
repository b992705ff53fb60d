import { PathNotFoundError } from '../errors.js'
import type { Application } from '../object/application.js'
import type { Digest } from '../object/digest.js'
import type { DirectoryEntry } from '../object/directory.js'
import type { EntryKind } from '../object/file-mode.js'
import type { Header } from '../object/header.js'
import type { ObjectReader } from '../store/object-store.js'
import { getApplication } from '../store/typed-object.js'
import { resolveEntryKind } from './entry-kind.js'
import { showPath } from './shown-path.js'
import { TreeReader } from './tree-reader.js'

/** One entry inside an application. */
export type TreeNode = {
  readonly application: Digest
  /** From the root, without a slash in front; empty for the root itself. */
  readonly path: Buffer
  /** The root is a directory entry with an empty name. */
  readonly entry: DirectoryEntry
  /** What it is, also where the entry leaves that to the header. */
  readonly kind: EntryKind
  readonly header: Header
}

/** The root of an application as an entry: a directory with an empty name. */
export function rootEntry(
  application: Application,
): DirectoryEntry & { readonly kind: 'directory' } {
  const { rootHeader, rootDirectory } = application
  const name = Buffer.alloc(0)
  return { kind: 'directory', name, header: rootHeader, directory: rootDirectory }
}

/** The components of a path inside a tree; empty ones, and so extra slashes, do not count. */
export function splitTreePath(path: Uint8Array): Buffer[] {
  const bytes = Buffer.from(path)
  const names: Buffer[] = []
  for (let start = 0; start <= bytes.length; ) {
    const slash = bytes.indexOf(0x2f, start)
    const end = slash < 0 ? bytes.length : slash
    if (end > start) names.push(bytes.subarray(start, end))
    start = end + 1
  }
  return names
}

/**
 * Finds the entry at a path inside an application.
 *
 * Links are entries like others and never followed; `.` and `..` are names that no entry
 * has. Throws PathNotFoundError with the component that is missing or no folder,
 * ObjectNotFoundError, WrongObjectTypeError.
 */
export async function resolveTreePath(
  reader: ObjectReader,
  application: Digest,
  path: Uint8Array = Buffer.alloc(0),
): Promise<TreeNode> {
  const tree = new TreeReader(reader, { strictness: 'tolerant' })
  let entry: DirectoryEntry = rootEntry(await getApplication(reader, application))
  const names = splitTreePath(path)
  for (const [depth, name] of names.entries()) {
    entry = await findChild(tree, entry, names.slice(0, depth), name)
  }
  const header = await tree.header(entry.header)
  const kind = resolveEntryKind(entry, header)
  return { application, path: joinTreePath(names), entry, kind, header }
}

/** Joins components to a path inside a tree. */
function joinTreePath(names: readonly Buffer[]): Buffer {
  const slash = Buffer.from('/')
  return Buffer.concat(names.flatMap((name, at) => (at === 0 ? [name] : [slash, name])))
}

async function findChild(
  tree: TreeReader,
  parent: DirectoryEntry,
  above: readonly Buffer[],
  name: Buffer,
): Promise<DirectoryEntry> {
  const folder = showPath(joinTreePath(above))
  if (parent.kind !== 'directory') {
    throw new PathNotFoundError(
      `${folder} is no folder: it is a ${parent.kind === 'regular' ? 'regular file' : parent.kind}`,
      {
        path: folder,
        component: showPath(name),
        found: parent.kind,
      },
    )
  }
  const directory = await tree.directory(parent.directory)
  const child = directory.find(entry => entry.name.equals(name))
  if (child !== undefined) return child
  throw new PathNotFoundError(`no entry "${showPath(name)}" in ${folder}`, {
    path: showPath(joinTreePath([...above, name])),
    component: showPath(name),
  })
}
