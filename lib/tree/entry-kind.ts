import { InvalidObjectError } from '../errors.js'
import type { DirectoryEntry } from '../object/directory.js'
import type { EntryKind } from '../object/file-mode.js'
import { type Header, kindOfHeader } from '../object/header.js'

/**
 * What an entry is, from its type and its header's mode, which must agree.
 *
 * Entry type 0 is decided by the mode (format section 2.2), but cannot be a kind whose
 * entries hold more than a header. Throws InvalidObjectError.
 */
export function resolveEntryKind(entry: DirectoryEntry, header: Header): EntryKind {
  const kind = kindOfHeader(header)
  if (entry.kind === kind) return kind
  const needsMore = kind === 'regular' || kind === 'directory' || kind === 'symlink'
  if (entry.kind === 'unknown' && !needsMore) return kind
  throw new InvalidObjectError(
    `an entry contradicts its header: expected a ${entry.kind}, found mode of a ${kind}`,
    { expected: entry.kind, found: kind },
  )
}
