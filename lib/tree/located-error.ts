import {
  CairnError,
  CorruptObjectError,
  IncompleteClosureError,
  InvalidObjectError,
  NotRepresentableError,
  WrongObjectTypeError,
} from '../errors.js'
import { showPath } from './shown-path.js'

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

function classOf({
  code,
}: CairnError):
  | typeof CorruptObjectError
  | typeof IncompleteClosureError
  | typeof InvalidObjectError
  | typeof NotRepresentableError
  | typeof WrongObjectTypeError
  | undefined {
  switch (code) {
    case 'object_not_found':
      return IncompleteClosureError
    case 'corrupt_object':
      return CorruptObjectError
    case 'invalid_object':
      return InvalidObjectError
    case 'wrong_object_type':
      return WrongObjectTypeError
    case 'not_representable':
      return NotRepresentableError
    default:
      return undefined
  }
}
