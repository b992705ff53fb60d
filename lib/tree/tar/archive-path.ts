import { findNameProblem } from '../../object/entry-name.js'
import { type ArchivePlace, invalidArchive, showArchivePath } from './archive-error.js'

const dot = 0x2e
const slash = 0x2f

/**
 * The names on the way to an entry, from the root of the tree; none for the root itself.
 *
 * A slash in front, "." and empty names change nothing: whatever an archive says lies in
 * the tree. Throws InvalidArchiveError for "..", and for a name that no directory can
 * hold.
 */
export function splitArchivePath(
  path: Buffer,
  place: ArchivePlace,
  what: 'path' | 'link target',
): Buffer[] {
  const names: Buffer[] = []
  for (let start = 0; start <= path.length; ) {
    const found = path.indexOf(slash, start)
    const end = found < 0 ? path.length : found
    const isDot = end === start + 1 && path[start] === dot
    if (end > start && !isDot) {
      const name = path.subarray(start, end)
      const problem = findNameProblem(name)
      if (problem !== undefined) {
        throw invalidArchive(place, `a name in a ${what} ${problem}`, {
          found: showArchivePath(path),
        })
      }
      names.push(name)
    }
    start = end + 1
  }
  return names
}
