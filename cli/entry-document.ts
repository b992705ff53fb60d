import { splitDevice } from '../lib/object/device-number.js'
import { escapeBytes } from '../lib/object/escape.js'
import type { TreeEntry } from '../lib/tree/list.js'
import type { JsonValue } from './json.js'
import { formatPermissions } from './mode-text.js'

/** The members that describe an entry of a tree in every document, its path apart. */
export function describeEntry(entry: TreeEntry): { readonly [key: string]: JsonValue } {
  const { kind, header, size, object, target } = entry
  const isDevice = kind === 'block-device' || kind === 'char-device'
  return {
    kind,
    permissions: formatPermissions(header.mode),
    uid: header.uid,
    gid: header.gid,
    size,
    digest: object,
    header: entry.entry.header.digest,
    xattrs: header.xattrs.length,
    ...(target !== undefined && { target: escapeBytes(target) }),
    ...(isDevice && { device: { ...splitDevice(header.rdev) } }),
  }
}
