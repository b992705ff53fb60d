import type { BigIntStats } from 'node:fs'
import { escapeBytes } from '../../object/escape.js'
import { findKindOfMode, findModeOfStat } from '../../object/file-mode.js'
import type { Header, Xattr } from '../../object/header.js'
import { findXattr, listXattrs, type XattrTarget } from '../../system/xattr.js'
import type { NamedPlace, SourcePlace } from './source-place.js'
import { callAt, notRepresentable } from './source-problem.js'

const maxXattrValueBytes = 0xffff

/** Makes the header that a stat result and extended attributes describe. */
export function makeHeader(
  place: NamedPlace,
  stat: BigIntStats,
  xattrs: readonly Xattr[],
): Header {
  const stMode = Number(stat.mode)
  const mode = findModeOfStat(stMode)
  if (mode === undefined) {
    throw notRepresentable(place, `unknown type of entry in mode ${stMode.toString(8)}`)
  }
  const kind = findKindOfMode(mode)
  const isDevice = kind === 'block-device' || kind === 'char-device'
  return {
    mode,
    rdev: isDevice ? Number(BigInt.asUintN(32, stat.rdev)) : 0,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    xattrs,
  }
}

/**
 * Reads all extended attributes that this process may see, in ascending order of keys.
 *
 * Throws NotRepresentableError for one that is too long, and as callAt does.
 */
export function readXattrs(place: SourcePlace, target: XattrTarget): readonly Xattr[] {
  return callAt(place, () => readSorted(place, target))
}

function readSorted(place: SourcePlace, target: XattrTarget): readonly Xattr[] {
  const keys = listXattrs(target)
  if (keys.length === 0) return []
  const xattrs: Xattr[] = []
  for (const key of keys.toSorted((one, other) => Buffer.compare(one, other))) {
    const value = findXattr(target, key)
    // Removed since it was listed: then the entry's ctime has changed too.
    if (value === undefined) continue
    if (value.length > maxXattrValueBytes) {
      throw notRepresentable(
        place,
        `extended attribute ${escapeBytes(key)} is too long: expected at most ` +
          `${maxXattrValueBytes} bytes, found ${value.length}`,
        { attribute: escapeBytes(key), found: value.length },
      )
    }
    xattrs.push({ key, value })
  }
  return xattrs
}
