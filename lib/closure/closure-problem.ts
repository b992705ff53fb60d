import { type CairnError, IncompleteClosureError } from '../errors.js'
import type { Descriptor } from '../object/descriptor.js'
import type { Digest } from '../object/digest.js'

/** An object that a walk wants, and the object that refers to it. */
export type Reference = {
  readonly descriptor: Descriptor
  /** Undefined for a root. */
  readonly parent: Digest | undefined
}

/**
 * What is wrong with a closure.
 *
 * `missing`: the object is not in the store. `corrupt`: what the store holds cannot be
 * read as that object. `contradicted`: the reference names another type or size than the
 * object has, or than another reference names.
 */
export type ClosureProblem = Reference & {
  readonly kind: 'missing' | 'corrupt' | 'contradicted'
  /** What a walk without onProblem throws for it. */
  readonly error: CairnError
}

export function missing(reference: Reference): ClosureProblem {
  const { descriptor, parent } = reference
  const { digest, type } = descriptor
  const error = new IncompleteClosureError(
    `${type} ${digest} is missing${parent === undefined ? '' : `: ${parent} refers to it`}`,
    { digest, type, parent },
  )
  return { ...reference, kind: 'missing', error }
}
