import { getSystemErrorMap } from 'node:util'
import {
  NotRepresentableError,
  SourceChangedError,
  SourceUnreadableError,
} from '../../errors.js'
import { errnoOf, isErrno } from '../../system/errno.js'
import { type NamedPlace, showPlace } from './source-place.js'

/** Why one entry of a source could not be stored. `facts.path` names it. */
export type SourceProblem =
  | NotRepresentableError
  | SourceChangedError
  | SourceUnreadableError

/** Whether an error is about one entry only, so that the rest could still be stored. */
export function isSourceProblem(error: unknown): error is SourceProblem {
  return (
    error instanceof NotRepresentableError ||
    error instanceof SourceChangedError ||
    error instanceof SourceUnreadableError
  )
}

/** An entry that is not what it was a moment ago; `change` completes "…: it". */
export function changedError(
  place: NamedPlace,
  change: string,
  options?: ErrorOptions,
): SourceChangedError {
  const path = showPlace(place)
  return new SourceChangedError(
    `${path} changed while it was stored: it ${change}`,
    { path, change },
    options,
  )
}

/** An entry that the object format cannot hold. */
export function notRepresentable(
  place: NamedPlace,
  problem: string,
  facts: Readonly<Record<string, string | number>> = {},
): NotRepresentableError {
  const path = showPlace(place)
  return new NotRepresentableError(`cannot store ${path}: ${problem}`, { path, ...facts })
}

// The name is gone, is now a link, leads through something that is no folder any more,
// or is now a socket: every one of them means that the entry was swapped.
const swapped: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'vanished'],
  ['ELOOP', 'became a symlink'],
  ['ENOTDIR', 'is no folder any more'],
  ['ESTALE', 'vanished'],
  ['ENXIO', 'became a socket or a device'],
  ['ENODEV', 'became a device'],
])

/**
 * Makes system calls on an entry, and gives their errors its place.
 *
 * Throws SourceChangedError, SourceUnreadableError, and other errors as they are.
 */
export function callAt<Result>(place: NamedPlace, call: () => Result): Result {
  try {
    return call()
  } catch (error) {
    throw withPlace(error, place)
  }
}

function withPlace(error: unknown, place: NamedPlace): unknown {
  const code = errnoOf(error)
  if (code === undefined) return error
  // Not the entry's fault: this process has run out of something.
  if (isErrno(error, 'EMFILE', 'ENFILE', 'ENOMEM')) return error
  const change = findChange(error, code)
  if (change !== undefined) return changedError(place, change, { cause: error })
  const path = showPlace(place)
  return new SourceUnreadableError(
    `cannot read ${path}: ${explainErrno(error, code)}`,
    { path, errno: code },
    { cause: error },
  )
}

function findChange(error: unknown, code: string): string | undefined {
  if (code === 'EINVAL' && syscallOf(error) === 'readlink')
    return 'is no symlink any more'
  return swapped.get(code)
}

/** Says what a system error means; its own message may name a path of our own making. */
export function explainErrno(error: unknown, code: string): string {
  const errno = error instanceof Error && 'errno' in error ? error.errno : undefined
  const [, text] = getSystemErrorMap().get(Number(errno)) ?? []
  return text === undefined ? code : `${code}, ${text}`
}

function syscallOf(error: unknown): unknown {
  return error instanceof Error && 'syscall' in error ? error.syscall : undefined
}
