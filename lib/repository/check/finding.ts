import type { CairnError } from '../../errors.js'
import type { Descriptor } from '../../object/descriptor.js'

/**
 * How bad a finding is.
 *
 * `error`: something that was kept is lost or wrong. `warning`: another program, or a
 * newer one, may refuse it. `notice`: left over, and cleared in time.
 */
export type Severity = 'error' | 'warning' | 'notice'

/** What a check may find. */
export type FindingKind =
  | 'missing-object'
  | 'corrupt-object'
  | 'invalid-object'
  | 'contradicted-object'
  | 'wrong-totals'
  | 'not-strict'
  | 'tag-file'
  | 'tag-log'
  | 'foreign-file'
  | 'irregular-file'
  | 'damaged-pack'
  | 'damaged-index'
  | 'damaged-list'
  | 'dead-session'
  | 'temp-file'

/** One thing that a check found: data for a report. */
export type Finding = {
  readonly severity: Severity
  readonly kind: FindingKind
  /** The object's digest, or the path of a file of the repository. */
  readonly where: string
  /** What is wrong, in words. */
  readonly message: string
  readonly expected?: string
  readonly found?: string
  /** File name of the pack that holds a bad object, where one does. */
  readonly pack?: string
  /** What the reference to a missing object says of it. */
  readonly missing?: Descriptor
}

/** Makes a finding of an error that reading threw; its facts say what was expected. */
export function findingOf(
  error: CairnError,
  finding: Pick<Finding, 'kind' | 'severity' | 'where'>,
): Finding {
  const { expected, found } = error.facts
  return {
    ...finding,
    message: error.message,
    ...(expected === undefined ? {} : { expected: String(expected) }),
    ...(found === undefined ? {} : { found: String(found) }),
  }
}
