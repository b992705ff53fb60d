import type { BigIntStats } from 'node:fs'
import type { Xattr } from '../../object/header.js'
import { type NamedPlace } from '../source/source-place.js'
import { notRepresentable } from '../source/source-problem.js'

/** Which extended attributes an overlay keeps its marks in: with `userxattr`, `user`. */
export type OverlayNamespace = 'trusted' | 'user'

/** What an overlay's upper folder says of an entry beside what the entry is. */
export type OverlayMarks = {
  /** The attributes that are the entry's own. */
  readonly xattrs: readonly Xattr[]
  /** Whether a folder hides what lower ones have in it. */
  readonly isOpaque: boolean
}

/** The attribute that makes a folder of an upper opaque. */
export function opaqueAttribute(namespace: OverlayNamespace): Xattr {
  return { key: Buffer.from(`${namespace}.overlay.opaque`), value: Buffer.from('y') }
}

/** Whether a name in an upper folder only says that the lower ones' is gone. */
export function isWhiteout(stat: BigIntStats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0n
}

/** Whether an attribute is one that an overlay of either kind takes for its own. */
export function isOverlayAttribute(key: Buffer): boolean {
  const text = key.toString('latin1')
  return text.startsWith('trusted.overlay.') || text.startsWith('user.overlay.')
}

/**
 * Parts an entry's attributes from an overlay's marks; throws NotRepresentableError for a
 * mark that says that the entry is not whole here.
 */
export function readMarks(
  place: NamedPlace,
  xattrs: readonly Xattr[],
  namespace: OverlayNamespace,
): OverlayMarks {
  const prefix = `${namespace}.overlay.`
  const own: Xattr[] = []
  let isOpaque = false
  for (const xattr of xattrs) {
    const key = xattr.key.toString('latin1')
    if (!key.startsWith(prefix)) {
      own.push(xattr)
      continue
    }
    const name = key.slice(prefix.length)
    // An overlay inside an overlay has its marks one level down.
    if (name.startsWith('overlay.')) {
      const inner = Buffer.from(prefix + name.slice('overlay.'.length), 'latin1')
      own.push({ key: inner, value: xattr.value })
    } else if (name === 'opaque' && xattr.value.toString('latin1') === 'y') {
      isOpaque = true
    } else if (!harmlessMarks.has(name)) {
      throw notRepresentable(place, `the overlay's mark ${key} is not understood`)
    }
  }
  own.sort((one, other) => Buffer.compare(one.key, other.key))
  return { xattrs: own, isOpaque }
}

// What an overlay notes for itself, and finds out again without.
const harmlessMarks = new Set(['origin', 'impure', 'nlink', 'upper', 'uuid', 'protattr'])
