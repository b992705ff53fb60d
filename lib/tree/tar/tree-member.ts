import { NotRepresentableError } from '../../errors.js'
import { type EntryKind, permissionsOf } from '../../object/file-mode.js'
import type { Header } from '../../object/header.js'
import type { ModificationTime } from '../../object/modification-times.js'
import { showPath } from '../shown-path.js'
import type { TarEntry } from './tar-entry.js'
import { maxPathBytes } from './tar-format.js'

const noBytes = Buffer.alloc(0)
const slash = Buffer.from('/')

/** The modification time of an entry of a tree that holds none. */
export const noTime: ModificationTime = { seconds: 0n, nanoseconds: 0 }

/** What is known of an entry of a tree. */
export type TreeFacts = {
  readonly kind: EntryKind
  readonly header: Header
  /** Content bytes of a regular file. */
  readonly size: number | bigint | undefined
  /** What a symlink points to. */
  readonly target: Buffer | undefined
}

/** How an entry of a tree stands in an archive. */
export type MemberPlace = {
  /** Its path in the archive, without a slash at its end. */
  readonly path: Buffer
  readonly time: ModificationTime | undefined
  /** The path of an entry written before that is the same file. */
  readonly linkTo?: Buffer | undefined
}

/**
 * Says of an entry of a tree what an archive says; undefined for a socket, which no
 * archive can hold. Throws NotRepresentableError for a path beyond maxPathBytes.
 */
export function findTarEntry(
  { kind, header, size, target }: TreeFacts,
  { path, time = noTime, linkTo }: MemberPlace,
): TarEntry | undefined {
  checkPath(path)
  const common = {
    path,
    permissions: permissionsOf(header.mode),
    uid: header.uid,
    gid: header.gid,
    rdev: 0,
    size: 0,
    time,
    target: noBytes,
    xattrs: header.xattrs,
  }
  // Readers link a further name to the first: it has nothing of its own.
  if (linkTo !== undefined) {
    return { ...common, kind: 'hard-link', target: linkTo, xattrs: [] }
  }
  switch (kind) {
    case 'regular':
      return { ...common, kind, size: Number(size ?? 0) }
    case 'directory':
      return { ...common, kind, path: Buffer.concat([path, slash]) }
    case 'symlink':
      return { ...common, kind, target: target ?? noBytes }
    case 'block-device':
    case 'char-device':
      return { ...common, kind, rdev: header.rdev }
    case 'fifo':
      return { ...common, kind }
    case 'socket':
      return undefined
    default:
      return kind satisfies never
  }
}

function checkPath(path: Buffer): void {
  if (path.length < maxPathBytes) return
  throw new NotRepresentableError(
    `${showPath(path)}: the path is too long for an archive: expected at most ` +
      `${maxPathBytes - 1} bytes, found ${path.length}`,
    { path: showPath(path), found: path.length },
  )
}
