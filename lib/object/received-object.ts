import { InvalidObjectError } from '../errors.js'
import {
  applicationDependencies,
  decodeApplication,
  exactApplicationTotals,
} from './application.js'
import type { Descriptor } from './descriptor.js'
import { algorithmOf, type Digest } from './digest.js'
import {
  decodeDirectory,
  directoryDependencies,
  type ExactTotals,
  exactTotalsOf,
} from './directory.js'
import { decodeHeader } from './header.js'
import type { ObjectType } from './object-type.js'
import type { Strictness } from './strictness.js'

/** Payload bytes of the largest header, directory or application that is accepted. */
export const maxMetadataBytes = 64 * 1024 * 1024

const nothing: ExactTotals = { count: 0n, size: 0n }

/** What an object refers to, in the order of format section 4; files: nothing. */
export function dependenciesOf(
  type: ObjectType,
  payload: Uint8Array,
  strictness: Strictness,
): Descriptor[] {
  if (type === 'directory')
    return directoryDependencies(decodeDirectory(payload, strictness))
  if (type === 'application') {
    return applicationDependencies(decodeApplication(payload, strictness))
  }
  return []
}

/**
 * Checks a received header, directory or application whose digest is already verified.
 *
 * It must have the announced size, be in its one strict form, refer only to digests of its
 * own algorithm, and have exactly the totals that `descriptor` announced. Returns its
 * dependencies; throws InvalidObjectError.
 */
export function parseReceivedObject(
  descriptor: Descriptor,
  payload: Uint8Array,
): Descriptor[] {
  const { digest, type, size, subObjectCount, subObjectsSize } = descriptor
  if (payload.length !== size) {
    throw new InvalidObjectError(
      `${type} ${digest} has another size: expected ${size} bytes, found ${payload.length}`,
      { digest, type, expected: size, found: payload.length },
    )
  }
  const { dependencies, totals } = parseStrictly(type, payload)
  checkOneAlgorithm(digest, dependencies)
  if (totals.count !== BigInt(subObjectCount) || totals.size !== subObjectsSize) {
    throw new InvalidObjectError(
      `${type} ${digest} has wrong totals: expected ${subObjectCount} references and ` +
        `${subObjectsSize} bytes as announced, found ${totals.count} and ${totals.size}`,
      { digest, type },
    )
  }
  return dependencies
}

/** Refuses references to digests of another algorithm than the referring object's own. */
export function checkOneAlgorithm(
  digest: Digest,
  dependencies: readonly Descriptor[],
): void {
  const own = digest.slice(0, 2)
  for (const dependency of dependencies) {
    if (!dependency.digest.startsWith(own)) {
      const expected = algorithmOf(digest).name
      const found = algorithmOf(dependency.digest).name
      throw new InvalidObjectError(
        `${digest} refers to a digest of another algorithm: expected ${expected}, ` +
          `found ${found} in ${dependency.digest}`,
        { digest, expected, found },
      )
    }
  }
}

function parseStrictly(
  type: ObjectType,
  payload: Uint8Array,
): { dependencies: Descriptor[]; totals: ExactTotals } {
  switch (type) {
    case 'header':
      decodeHeader(payload, 'strict')
      return { dependencies: [], totals: nothing }
    case 'directory': {
      const directory = decodeDirectory(payload, 'strict')
      return {
        dependencies: directoryDependencies(directory),
        totals: exactTotalsOf(directory),
      }
    }
    case 'application': {
      const application = decodeApplication(payload, 'strict')
      return {
        dependencies: applicationDependencies(application),
        totals: exactApplicationTotals(application),
      }
    }
    case 'file':
      return { dependencies: [], totals: nothing }
    default:
      return type satisfies never
  }
}
