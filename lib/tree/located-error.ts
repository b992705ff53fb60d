import {
  CairnError,
  CorruptObjectError,
  type ErrorFacts,
  IncompleteClosureError,
  InvalidObjectError,
  NotRepresentableError,
  ObjectNotFoundError,
  WrongObjectTypeError,
} from '../errors.js'
import { showPath } from './shown-path.js'

type LocatedClass = new (
  message: string,
  facts: ErrorFacts,
  options: ErrorOptions,
) => CairnError

const kept: readonly LocatedClass[] = [
  CorruptObjectError,
  InvalidObjectError,
  NotRepresentableError,
  WrongObjectTypeError,
]

/**
 * The same error with the path inside the tree that it is about.
 *
 * Its class stays, as callers react to that; only an object that is missing below a tree
 * is an incomplete closure to them. Errors that are not about objects stay as they are.
 */
export function locatedError(error: unknown, path: () => Buffer): unknown {
  if (!(error instanceof CairnError) || error.facts['path'] !== undefined) return error
  const Located = classOf(error)
  if (Located === undefined) return error
  const shown = showPath(path())
  const facts = { ...error.facts, path: shown }
  return new Located(`${shown}: ${error.message}`, facts, { cause: error })
}

/** Does something about one entry; errors get its path. */
export function locate<T>(path: () => Buffer, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw locatedError(error, path)
  }
}

/** The digest that an error is about. */
export function digestOfError(error: unknown): unknown {
  return error instanceof CairnError ? error.facts['digest'] : undefined
}

function classOf(error: CairnError): LocatedClass | undefined {
  if (error instanceof ObjectNotFoundError) return IncompleteClosureError
  return kept.find(kind => error instanceof kind)
}
