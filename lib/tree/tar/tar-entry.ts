import type { Xattr } from '../../object/header.js'
import type { ModificationTime } from '../../object/modification-times.js'
import type { TarKind } from './tar-format.js'

/** What an archive says of one entry, its content apart. */
export type TarEntry = {
  /** As it stands in the archive: raw bytes, not yet safe to be followed. */
  readonly path: Buffer
  readonly kind: TarKind
  /** The 07777 bits. */
  readonly permissions: number
  readonly uid: number
  readonly gid: number
  /** Low 32 bits of Linux st_rdev; 0 for all but devices. */
  readonly rdev: number
  /** Content bytes of a regular file, holes counted in; else 0. */
  readonly size: number
  readonly time: ModificationTime
  /** What a symlink points to, or the path that a hard link is one more name of. */
  readonly target: Buffer
  /** In ascending order of key bytes, keys unique. */
  readonly xattrs: readonly Xattr[]
}
