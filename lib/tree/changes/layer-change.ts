import type { EntryKind } from '../../object/file-mode.js'
import type { Header } from '../../object/header.js'
import type { ModificationTime } from '../../object/modification-times.js'

/**
 * What an upper tree has at a path and a lower one has not, or has otherwise.
 *
 * `unchanged` entries are on the way only: a folder that is the same itself and was
 * looked into, or a name of a file with several names, of which another may have changed.
 */
export type LayerChange =
  | { readonly kind: 'deleted'; readonly path: Buffer }
  | {
      readonly kind: 'added' | 'modified' | 'unchanged'
      readonly path: Buffer
      readonly node: ChangedNode
      /** Whether a folder hides everything that the lower tree has in it. */
      readonly isOpaque: boolean
    }

/** An entry of the upper tree. */
export type ChangedNode = {
  readonly kind: EntryKind
  readonly header: Header
  /** Undefined where none is recorded. */
  readonly time: ModificationTime | undefined
  /** Content bytes of a regular file; else 0. */
  readonly size: number
  /** What a symlink points to; else empty. */
  readonly target: Buffer
  /** Equal for names of one file; undefined for a single name. */
  readonly links: string | undefined
  /** Reads a regular file, once, before the next change is asked for. */
  readonly content: () => AsyncIterable<Uint8Array>
}

/** Changes in byte order of paths, a folder before what is in it. */
export type LayerChanges = AsyncIterable<LayerChange>
