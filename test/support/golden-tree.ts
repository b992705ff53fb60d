import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import type { Descriptor } from '../../lib/object/descriptor.js'
import type { Digest } from '../../lib/object/digest.js'
import { parseDigest } from '../../lib/object/digest.js'
import { type ObjectType, parseObjectType } from '../../lib/object/object-type.js'
import { joinPath } from '../../lib/system/directory-descent.js'
import { makeDevice, makeFifo, makeSocket } from '../../lib/system/special-file.js'
import { setXattr } from '../../lib/system/xattr.js'
import { readFixture } from './fixture-file.js'

type Metadata = {
  /** Octal, the 07777 bits. */
  readonly mode: string
  readonly uid: number
  readonly gid: number
  /** Hex of key to hex of value. */
  readonly xattrs?: Readonly<Record<string, string>>
}

type Content =
  | { readonly content_hex: string; readonly sparse?: boolean }
  | {
      readonly content_repeat: { readonly hex: string; readonly count: number }
      readonly sparse?: boolean
    }

/** One line of a manifest, described in fixtures/golden/README.md. */
type ManifestEntry = { readonly path_hex: string } & (
  | ({ readonly type: 'file' } & Metadata & Content)
  | ({ readonly type: 'dir' } & Metadata)
  | ({ readonly type: 'fifo' | 'socket' } & Metadata)
  | ({ readonly type: 'symlink'; readonly target_hex: string } & Metadata)
  | ({
      readonly type: 'char' | 'block'
      readonly rdev: readonly [number, number]
    } & Metadata)
  | { readonly type: 'hardlink'; readonly hardlink_to_hex: string }
)

/** A folder as data: what makeGoldenTree makes. */
export type TreeManifest = {
  readonly root: Metadata
  readonly entries: readonly ManifestEntry[]
}

/** A recorded object: `bytes` is the whole object file, `payload` all but its first byte. */
export type GoldenObject = {
  readonly digest: Digest
  readonly type: ObjectType
  readonly bytes: Buffer
  readonly payload: Buffer
  /** Below the root of a loose repository. */
  readonly path: string
}

/** A recorded tree: its manifest, and all that storing it with algorithm 5 makes. */
export type GoldenTree = {
  readonly manifest: TreeManifest
  readonly objects: readonly GoldenObject[]
  readonly application: Descriptor
  readonly tagName: string
  readonly tagFile: Buffer
}

/** Loads the recorded tree `ordinary`. */
export function loadGoldenTree(): GoldenTree {
  const recorded = readFixture('golden/tree-ordinary.json') as RecordedTree
  const { app } = recorded
  return {
    manifest: recorded.tree,
    objects: recorded.objects.map(({ digest, type, bytes_hex, path }) => {
      const bytes = Buffer.from(bytes_hex, 'hex')
      const payload = bytes.subarray(1)
      return {
        digest: parseDigest(digest),
        type: parseObjectType(type),
        bytes,
        payload,
        path,
      }
    }),
    application: {
      digest: parseDigest(app.digest),
      size: app.size,
      type: parseObjectType(app.type),
      subObjectCount: app.numSubObjects,
      subObjectsSize: BigInt(app.subObjectsSize),
    },
    tagName: recorded.tag_name,
    tagFile: Buffer.from(recorded.tag_file_hex, 'hex'),
  }
}

/**
 * Makes the folder of a manifest at `folder`, which must not exist.
 *
 * Needs root only for foreign owners, devices, and attributes that only root may set.
 */
export function makeGoldenTree(manifest: TreeManifest, folder: string): void {
  const root = Buffer.from(folder)
  mkdirSync(root, 0o700)
  const directories: { readonly path: Buffer; readonly metadata: Metadata }[] = []
  for (const entry of manifest.entries) {
    const path = joinPath(root, bytesOf(entry.path_hex))
    if (entry.type === 'hardlink') {
      linkSync(joinPath(root, bytesOf(entry.hardlink_to_hex)), path)
    } else if (entry.type === 'dir') {
      mkdirSync(path, 0o700)
      directories.push({ path, metadata: entry })
    } else {
      makeEntry(entry, path)
      setMetadata(path, entry)
    }
  }
  // Innermost first: a folder's own mode may forbid what is still to be done inside.
  for (const { path, metadata } of directories.toReversed()) setMetadata(path, metadata)
  setMetadata(root, manifest.root)
}

type RecordedTree = {
  readonly tree: TreeManifest
  readonly tag_name: string
  readonly tag_file_hex: string
  readonly app: {
    readonly digest: string
    readonly size: number
    readonly type: number
    readonly numSubObjects: number
    readonly subObjectsSize: number
  }
  readonly objects: readonly {
    readonly digest: string
    readonly type: number
    readonly path: string
    readonly bytes_hex: string
  }[]
}

function makeEntry(
  entry: Exclude<ManifestEntry, { type: 'hardlink' | 'dir' }>,
  path: Buffer,
): void {
  switch (entry.type) {
    case 'file':
      return makeFile(entry, path)
    case 'symlink':
      return symlinkSync(bytesOf(entry.target_hex), path)
    case 'char':
    case 'block':
      return makeDevice(path, entry.type, deviceNumber(entry.rdev))
    case 'fifo':
      return makeFifo(path)
    case 'socket':
      return makeSocket(path)
    default:
      return entry satisfies never
  }
}

function makeFile(content: Content, path: Buffer): void {
  const bytes =
    'content_hex' in content
      ? bytesOf(content.content_hex)
      : Buffer.alloc(
          (content.content_repeat.hex.length / 2) * content.content_repeat.count,
          content.content_repeat.hex,
          'hex',
        )
  if (content.sparse === true) {
    writeFileSync(path, '')
    truncateSync(path, bytes.length)
  } else {
    writeFileSync(path, bytes)
  }
}

// Owner first, since chown clears set-id bits and capabilities; attributes last, since an
// access control list depends on the mode.
function setMetadata(path: Buffer, metadata: Metadata): void {
  const { uid, gid, mode, xattrs = {} } = metadata
  const found = lstatSync(path)
  const isLink = found.isSymbolicLink()
  if (found.uid !== uid || found.gid !== gid) {
    if (isLink) lchownSync(path, uid, gid)
    else chownSync(path, uid, gid)
  }
  if (!isLink) chmodSync(path, Number.parseInt(mode, 8))
  for (const [key, value] of Object.entries(xattrs)) {
    setXattr(path, bytesOf(key), bytesOf(value))
  }
}

function deviceNumber([major, minor]: readonly [number, number]): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex, 'hex')
}
