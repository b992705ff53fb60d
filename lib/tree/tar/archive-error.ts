import { InvalidArchiveError, LimitExceededError } from '../../errors.js'
import { escapeBytes } from '../../object/escape.js'

/** Where in an archive something is: the offset of a block, and the entry if it is known. */
export type ArchivePlace = {
  /** Bytes in front of it, in the archive without compression. */
  readonly offset: number
  readonly path?: Buffer | undefined
}

/** What was expected and found. */
export type Mismatch = { readonly expected?: string; readonly found?: string | number }

/** An archive that is damaged, cut off, or says what no archive may say. */
export function invalidArchive(
  place: ArchivePlace,
  problem: string,
  mismatch: Mismatch = {},
): InvalidArchiveError {
  const facts = { ...factsOf(place), ...mismatch }
  return new InvalidArchiveError(`${describe(place)}: ${problem}${told(mismatch)}`, facts)
}

/** An archive with something beyond a bound. */
export function archiveLimit(
  place: ArchivePlace,
  what: string,
  { expected, found }: { readonly expected: number; readonly found: number | string },
): LimitExceededError {
  return new LimitExceededError(
    `${describe(place)}: ${what}: expected at most ${expected}, found ${found}`,
    { ...factsOf(place), expected, found },
  )
}

/** A path as messages show it: escaped, and its end cut off when it is long. */
export function showArchivePath(path: Uint8Array): string {
  const shown = escapeBytes(path.subarray(0, 300))
  return path.length > 300 ? `${shown}… (${path.length} bytes)` : shown
}

function describe({ offset, path }: ArchivePlace): string {
  const entry = path === undefined ? '' : `, entry "${showArchivePath(path)}"`
  return `invalid archive at byte ${offset}${entry}`
}

function told({ expected, found }: Mismatch): string {
  if (expected === undefined) return found === undefined ? '' : `: found ${found}`
  return `: expected ${expected}, found ${found}`
}

function factsOf({ offset, path }: ArchivePlace): { offset: number; entry?: string } {
  return path === undefined ? { offset } : { offset, entry: showArchivePath(path) }
}
