import { lstatSync } from 'node:fs'
import { type LeftOutKind, xattrKind } from '../../lib/tree/checkout/left-out.js'
import type { FolderDifference } from '../../lib/tree/compare-folders.js'

/** Whether a difference is nothing but what a checkout said to have left out. */
export function isAllowed(
  difference: FolderDifference,
  leftOut: ReadonlySet<LeftOutKind>,
  source: Buffer,
): boolean {
  switch (difference.part) {
    case 'owner':
      return leftOut.has('owner')
    case 'permissions':
      return leftOut.has('set-id') && sameWithoutSetId(difference)
    case 'xattrs':
      return restorableXattrs(difference.expected, leftOut) === (difference.found ?? '')
    case 'hard-links':
      return leftOut.has('hard-link')
    case 'missing':
      return isSpecialLeftOut(difference.path, leftOut, source)
    case 'extra':
    case 'type':
    case 'content':
    case 'target':
    case 'device':
    case 'modification-time':
      return false
    default:
      return difference.part satisfies never
  }
}

function sameWithoutSetId({ expected = '', found = '' }: FolderDifference): boolean {
  const setId = 0o6000
  return (Number.parseInt(expected, 8) & ~setId) === (Number.parseInt(found, 8) & ~setId)
}

// The comparison shows attributes as "KEY=HEX KEY=HEX …".
function restorableXattrs(
  shown: string | undefined,
  leftOut: ReadonlySet<LeftOutKind>,
): string {
  return (shown ?? '')
    .split(' ')
    .filter(pair => pair !== '' && !leftOut.has(xattrKind(Buffer.from(pair))))
    .join(' ')
}

function isSpecialLeftOut(
  path: Buffer,
  leftOut: ReadonlySet<LeftOutKind>,
  source: Buffer,
): boolean {
  const entry = lstatSync(Buffer.concat([source, Buffer.from('/'), path]))
  if (entry.isBlockDevice() || entry.isCharacterDevice()) return leftOut.has('device')
  if (entry.isFIFO()) return leftOut.has('fifo')
  return entry.isSocket() && leftOut.has('socket')
}
