import { fstatSync } from 'node:fs'
import { modeOf } from '../../object/file-mode.js'
import type { Header } from '../../object/header.js'
import {
  type ModificationTime,
  timeOfNanoseconds,
} from '../../object/modification-times.js'
import { makeHeader, readXattrs } from '../source/source-header.js'
import { noTime } from '../tar/tree-member.js'
import type { FolderCursor } from './folder-cursor.js'
import { type OverlayNamespace, readMarks } from './overlay-marks.js'

/** What a folder that is being unpacked will be. */
export type FolderFacts = { readonly header: Header; readonly time: ModificationTime }

/** A folder that a layer brings without saying what it is. */
export const impliedFacts: FolderFacts = {
  header: { mode: modeOf('directory', 0o755), rdev: 0, uid: 0, gid: 0, xattrs: [] },
  time: noTime,
}

/**
 * What the topmost of some lower folders says of a folder; undefined where none has it.
 *
 * A folder of an overlay's upper hides the metadata of the one below: so it has to get
 * that one's.
 */
export function findLowerFacts(
  lowers: readonly FolderCursor[],
  names: readonly Buffer[],
  namespace: OverlayNamespace,
): FolderFacts | undefined {
  for (const lower of lowers) {
    const obstacle = lower.go(names)
    if (obstacle?.found === 'absent') continue
    if (obstacle !== undefined) return undefined
    const stat = fstatSync(lower.fd, { bigint: true })
    const name = names.at(-1) ?? Buffer.alloc(0)
    const place = { folder: undefined, name, path: lower.here }
    const { xattrs } = readMarks(place, readXattrs(place, lower.fd), namespace)
    return {
      header: makeHeader(place, stat, xattrs),
      time: timeOfNanoseconds(stat.mtimeNs),
    }
  }
  return undefined
}
